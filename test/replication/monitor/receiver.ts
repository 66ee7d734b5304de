import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Received {
  method: string
  path: string
  type: string | undefined
  body: string
}

export interface Receiver {
  requests: Received[]
  /** what it answers with */
  status: number
  /** the header of that name */
  retryAfter?: string
  url(path: string): string
  close(): Promise<void>
}

/** An HTTP server of our own that keeps what it is sent. */
export async function startReceiver(t: Pick<Test, 'teardown'>): Promise<Receiver> {
  const requests: Received[] = []
  const server = createServer((request, reply) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      requests.push({ method, path: url, type: headers['content-type'], body })
      const { status, retryAfter } = receiver
      const later = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
      reply.writeHead(status, { location: '/elsewhere', ...later }).end('ok')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const receiver: Receiver = {
    requests,
    status: 200,
    url: (path) => `http://127.0.0.1:${port}${path}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  t.teardown(() => receiver.close())
  return receiver
}
