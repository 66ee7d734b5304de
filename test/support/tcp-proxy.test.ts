import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { connect } from '../../core/db.ts'
import { createDatabase, queryRows } from './databases.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

/** A server that sends back what it gets, and what its connections came to. */
async function startEcho(t: Test): Promise<{ url: string; events: string[]; chunks: number[] }> {
  const events: string[] = []
  const chunks: number[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (bytes: Buffer) => {
      chunks.push(bytes.length)
      socket.write(bytes)
    })
    socket.on('end', () => events.push('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => events.push(error.code ?? error.message))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, events, chunks }
}

async function dial(t: Test, proxy: TcpProxy): Promise<Socket & { outcome: Promise<string> }> {
  const socket = connectTcp({ port: proxy.port, host: '127.0.0.1', noDelay: true })
  const outcome = new Promise<string>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('end', () => resolve('end'))
  })
  t.teardown(() => socket.destroy())
  await Promise.race([once(socket, 'connect').catch(() => undefined), outcome])
  return Object.assign(socket, { outcome })
}

async function receive(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let got = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    got += chunk.length
    if (got >= length) break
  }
  return Buffer.concat(chunks)
}

t.test('a sound link hands on every byte and counts it, and an end', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  const socket = await dial(t, proxy)
  const sent = randomBytes(3_000_000)
  socket.write(sent)
  t.ok((await receive(socket, sent.length)).equals(sent))
  t.same([proxy.toServer, proxy.toClient, proxy.accepted, proxy.open], [sent.length, sent.length, 1, 1])
  socket.end()
  t.equal(await socket.outcome, 'end')
  t.same(echo.events, ['end'])
})

t.test('latency delays and does not limit: a long stream takes hardly longer than one byte', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  proxy.set({ latencyMs: 150 })
  const socket = await dial(t, proxy)
  const sent = randomBytes(8_000_000)
  const started = performance.now()
  socket.write(sent)
  t.ok((await receive(socket, sent.length)).equals(sent), 'in order')
  const tookMs = performance.now() - started
  t.ok(tookMs >= 300, 'both directions')
  // One round trip for each 64 KB would be half a minute.
  t.ok(tookMs < 15_000, `${tookMs} ms`)
})

t.test('a narrow line passes as many bytes a second as it says', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  proxy.set({ bytesPerSecond: 200_000 })
  const socket = await dial(t, proxy)
  const started = performance.now()
  socket.write(randomBytes(100_000))
  await receive(socket, 100_000)
  t.ok(performance.now() - started >= 490)
})

t.test('sliced bytes arrive one by one and complete', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  proxy.set({ sliceBytes: 7 })
  const socket = await dial(t, proxy)
  const sent = randomBytes(700)
  socket.write(sent)
  t.ok((await receive(socket, 700)).equals(sent))
  t.ok(echo.chunks.length > 50, `${echo.chunks.length} pieces`)
})

t.test('a stalled line delivers everything once it moves again', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  const socket = await dial(t, proxy)
  proxy.set({ isStalled: true })
  socket.write('held')
  await sleep(100)
  t.equal(echo.chunks.length, 0)
  proxy.set()
  t.equal((await receive(socket, 4)).toString(), 'held')
})

t.test('a forgotten connection stays dead without an end, and a new one lives', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  const socket = await dial(t, proxy)
  socket.write('a')
  await receive(socket, 1)
  proxy.set({ isBlackhole: true })
  socket.write('lost')
  const born = await dial(t, proxy)
  born.write('lost too')
  await sleep(100)
  proxy.set()
  socket.write('still lost')
  const alive = await dial(t, proxy)
  alive.write('b')
  t.equal((await receive(alive, 1)).toString(), 'b')
  socket.end()
  await sleep(50)
  t.same(echo.events, [], 'the server saw no end')
  t.same(echo.chunks, [1, 1])
  t.equal(proxy.open, 3)
})

t.test('resets reach both sides; a link that is down resets whoever comes', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  const socket = await dial(t, proxy)
  socket.write('a')
  await receive(socket, 1)
  proxy.resetAll()
  t.equal(await socket.outcome, 'ECONNRESET')
  await sleep(20)
  t.same(echo.events, ['ECONNRESET'])
  proxy.set({ isDown: true })
  t.equal(await (await dial(t, proxy)).outcome, 'ECONNRESET')
  t.equal(proxy.open, 0)
})

t.test('a limit cuts at that byte; a slow close ends later', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startTcpProxy(t, echo.url)
  proxy.set({ limitBytes: 10 })
  const socket = await dial(t, proxy)
  socket.write(Buffer.alloc(15))
  t.equal(await socket.outcome, 'ECONNRESET')
  t.equal(proxy.toServer, 10)
  proxy.set({ slowCloseMs: 200 })
  const closing = await dial(t, proxy)
  const started = performance.now()
  closing.end()
  t.equal(await closing.outcome, 'end')
  t.ok(performance.now() - started >= 190)
})

t.test('a reset at a COMMIT leaves it done or undone, as wished', async (t) => {
  const url = await createDatabase(t, 'cloud', { migrate: false })
  await queryRows(url, 'create table outcome (what text)')
  const proxy = await startTcpProxy(t, url)
  for (const isDelivered of [true, false]) {
    const client = await connect({ connectionString: proxy.through(url), applicationName: 'test' })
    const sprung = proxy.resetWhenSent(/^Q.{4}commit/s, { isDelivered })
    await client.query('begin')
    await client.query('insert into outcome values ($1)', [String(isDelivered)])
    await t.rejects(client.query('commit'))
    await sprung
  }
  const answered = await connect({ connectionString: proxy.through(url), applicationName: 'test' })
  const sprung = proxy.resetWhenAnswered(/COMMIT/)
  await answered.query(`begin; insert into outcome values ('unanswered')`)
  await t.rejects(answered.query('commit'))
  await sprung
  await sleep(100)
  const rows = await queryRows<{ what: string }>(url, 'select what from outcome order by what')
  t.same(
    rows.map(({ what }) => what),
    ['true', 'unanswered'],
  )
})
