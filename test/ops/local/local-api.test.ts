import { createServer } from 'node:net'
import t from 'tap'
import { addressToOpen, listenAddress } from '../../../ops/local/local-api.ts'
import { choosePort, isPortFree } from '../../../ops/local/ports.ts'

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
