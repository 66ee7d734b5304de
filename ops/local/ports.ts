import { createServer } from 'node:net'
import { randomInt } from 'node:crypto'
import { HomeportError } from '../../core/errors.ts'

// Below the range from which systems lend ports to outgoing connections, so that a port which is
// remembered between starts is not lent out meanwhile.
const lowest = 20_000
const highest = 29_999

/** Whether nothing listens on a port of `host` now. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((answer) => {
    const server = createServer()
    server.once('error', () => answer(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => answer(true)))
  })
}

/** The preferred port if it is free, else a random free one. @throws HomeportError NO_FREE_PORT. */
export async function choosePort(preferred?: number, host = '127.0.0.1'): Promise<number> {
  if (preferred !== undefined && (await isPortFree(preferred, host))) return preferred
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(lowest, highest + 1)
    if (await isPortFree(port, host)) return port
  }
  throw new HomeportError('NO_FREE_PORT', `no free port from ${lowest} to ${highest} on ${host}`)
}
