import { createServer } from 'node:net'
import { createServer as createHttpServer } from 'node:http'
import t from 'tap'
import { addressToOpen, listenAddress, startLocalApi } from '../../../ops/local/local-api.ts'
import { choosePort, isPortFree } from '../../../ops/local/ports.ts'
import { temporaryFolder } from '../../support/api.ts'
import { createDatabase } from '../../support/databases.ts'
import { createRole } from '../../support/roles.ts'

t.test('HOST and PORT, where they are an address and a port', async (t) => {
  const cases: [Record<string, string>, string, number][] = [
    [{}, '127.0.0.1', 8080],
    [{ HOST: '0.0.0.0', PORT: '9000' }, '0.0.0.0', 9000],
    [{ HOST: '::1' }, '::1', 8080],
    // What csh and conda put there.
    [{ HOST: 'my-machine', PORT: 'tcp://10.0.0.1:80' }, '127.0.0.1', 8080],
    [{ HOST: 'x86_64-conda-linux-gnu', PORT: '70000' }, '127.0.0.1', 8080],
  ]
  for (const [environment, host, port] of cases) {
    t.strictSame(listenAddress(environment), { host, port }, JSON.stringify(environment))
  }
})

t.test('the address to open is one that a browser here can open', async (t) => {
  t.equal(addressToOpen('0.0.0.0', 8080), 'http://127.0.0.1:8080')
  t.equal(addressToOpen('::', 8080), 'http://127.0.0.1:8080')
  t.equal(addressToOpen('::1', 8080), 'http://[::1]:8080')
  t.equal(addressToOpen('192.0.2.1', 80), 'http://192.0.2.1:80')
})

t.test('a port that somebody has on every address is not free on one, nor the other way round', async (t) => {
  for (const [theirs, ours] of [
    ['0.0.0.0', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
  ] as const) {
    const port = await choosePort()
    const other = createServer()
    await new Promise<void>((listening) => other.listen(port, theirs, listening))
    t.notOk(await isPortFree(port, ours))
    t.not(await choosePort(port, ours), port)
    await new Promise((closed) => other.close(closed))
    t.equal(await choosePort(port, ours), port)
  }
})

t.test('an api of somebody else that was quicker is not taken for ours', async (t) => {
  const port = await choosePort()
  let asked = 0
  // It is ready, as one of another start on this machine would be.
  const other = createHttpServer((_request, response) => {
    asked++
    response.end('{}')
  })
  await new Promise<void>((listening) => other.listen(port, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const reader = await createRole(t, await createDatabase(t, 'cloud'))
  const folder = temporaryFolder(t)
  const chosen = [port]
  const { url, child } = await startLocalApi({
    folder,
    runFolder: `${folder}/run`,
    readerUrl: reader.url,
    signal: new AbortController().signal,
    onNote: () => undefined,
    onChild: (started) => t.teardown(() => started.stop()),
    choose: (preferred, host) => {
      const first = chosen.pop()
      return first === undefined ? choosePort(preferred, host) : Promise.resolve(first)
    },
  })
  t.not(new URL(url).port, String(port))
  t.equal(asked, 0)
  t.notOk(child.ended)
  t.equal((await fetch(`${url}/live`)).status, 200)
})
