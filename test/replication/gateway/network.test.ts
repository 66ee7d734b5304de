import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, request as tlsRequest } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { HomeportError } from '../../../core/errors.ts'
import { decodePart } from '../../../replication/relay/batch-codec.ts'
import type { Batch } from '../../../replication/relay/batch.ts'
import type { Applied } from '../../../replication/relay/cloud-link.ts'
import { decide } from '../../../replication/relay/decide.ts'
import { openGatewayLink, type GatewayLinkOptions } from '../../../replication/relay/gateway-link.ts'
import { temporaryFolder } from '../../support/api.ts'
import { createDatabase } from '../../support/databases.ts'
import { failure, silent } from './link-fixture.ts'
import { someLease, somePart, someProgress, startTestGateway } from './support.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer, count: number) => void

const json = { 'content-type': 'application/json' }
const good: Answer = (_request, response) => {
  response.writeHead(200, json).end(JSON.stringify({ progress: someProgress }))
}
const applied: Applied = {
  kind: 'applied',
  isNew: true,
  progress: someProgress,
  rows: 1,
  resolved: 0,
  quarantined: 0,
}

/** Something that answers in the gateway's place. */
async function standIn(t: Test, answer: Answer): Promise<{ url: string; requests: () => number }> {
  let count = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => undefined)
    request.on('end', () => answer(request, response, Buffer.concat(chunks), (count += 1)))
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, requests: () => count }
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    if ('closeAllConnections' in server) (server as ReturnType<typeof createServer>).closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function link(
  t: Test,
  url: string,
  more: Partial<GatewayLinkOptions> = {},
): ReturnType<typeof openGatewayLink> {
  const opened = openGatewayLink({ url, apiKey: 'hp_x', log: silent, ...more })
  t.teardown(() => opened.close())
  return opened
}

const batch: Batch = {
  slot: 'homeport',
  after: '0/10',
  end: '0/20',
  oldestCommitAt: null,
  async *parts() {
    yield decodePart(somePart())
  },
  release: () => Promise.resolve(),
}
const options = { lease: someLease, quarantine: false }

void t.test('a passing failure is tried again three times, any other not', async (t) => {
  for (const status of [429, 502, 503, 504]) {
    const flaky = await standIn(t, (request, response, body, count) => {
      if (count <= 3) response.writeHead(status).end('<html>')
      else good(request, response, body, count)
    })
    t.match(await link(t, flaky.url).readProgress('homeport'), someProgress, `${status} three times`)
    t.equal(flaky.requests(), 4)
  }
  const cut = await standIn(t, (request, response, body, count) => {
    if (count <= 2) request.socket.destroy()
    else good(request, response, body, count)
  })
  t.match(await link(t, cut.url).readProgress('homeport'), someProgress, 'a connection that breaks')
  const halved = await standIn(t, (request, response, body, count) => {
    if (count > 1) return good(request, response, body, count)
    response.writeHead(200, { ...json, 'content-length': '1000' }).write('{"progress":')
    setTimeout(() => request.socket.destroy(), 20)
  })
  t.match(await link(t, halved.url).readProgress('homeport'), someProgress, 'an answer that breaks off')
  const dead = await standIn(t, (_request, response) => response.writeHead(503).end())
  const error = await failure(link(t, dead.url).readProgress('homeport'))
  t.match(error, { code: 'GATEWAY_UNREACHABLE' })
  t.equal(dead.requests(), 4, 'and then it is an outage')
})

void t.test('who is no gateway, and a key that is not good, stop the relay', async (t) => {
  const cases: [status: number, type: string, text: string, message: RegExp][] = [
    [
      401,
      'application/problem+json',
      '{"code":"UNAUTHORIZED","detail":"a valid key is needed"}',
      /refuses the key/,
    ],
    [403, 'application/problem+json', '{"code":"FORBIDDEN"}', /refuses the key/],
    [403, 'text/html', '<html>', /refuses the key/],
    [404, 'application/problem+json', '{"code":"NOT_FOUND"}', /is no gateway/],
    [404, 'text/html', '<html>', /is no gateway/],
    [200, 'text/html', '<html>', /is no gateway/],
    [200, 'application/json', 'no', /is no gateway/],
    [200, 'application/json', '{"segments":7}', /is no gateway/],
    [301, 'text/html', '', /sends requests elsewhere/],
  ]
  for (const [status, type, text, message] of cases) {
    const other = await standIn(t, (_request, response) => {
      response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:9/' }).end(text)
    })
    const error = await link(t, other.url)
      .readProgress('homeport')
      .catch((thrown: unknown) => thrown)
    t.match(error, { code: 'GATEWAY_REFUSED', message })
    t.equal(decide(error, { hasWorked: false }), 'stop')
    t.equal(other.requests(), 1)
  }
})

void t.test('a proxy that takes smaller requests only is named', async (t) => {
  const proxy = await standIn(t, (_request, response) => response.writeHead(413).end('<html>'))
  t.match(await failure(link(t, proxy.url).apply(batch, options)), {
    code: 'BODY_TOO_LARGE',
    message: /something before/,
  })
})

void t.test('what cannot be reached is an outage, and says why', async (t) => {
  const port = await listen(t, createTcpServer())
  const silentPort = await listen(
    t,
    createTcpServer(() => undefined),
  )
  const brief = { retries: 0, silenceMs: 200, connectTimeoutMs: 300, deadlineMs: 1_000 }
  const closed = await standIn(t, good)
  const drip = await standIn(t, (_request, response) => {
    response.writeHead(200, json)
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => clearInterval(timer))
  })
  const cases: [url: string, message: RegExp][] = [
    ['http://127.0.0.1:1', /nothing listens there/],
    [`http://127.0.0.1:${silentPort}`, /no answer in time/],
    [`https://127.0.0.1:${port}`, /no answer in time/],
    [`https://127.0.0.1:${new URL(closed.url).port}`, /the connection broke/],
    ['https://gateway.invalid', /host name/],
    [drip.url, /no answer in time/],
  ]
  for (const [url, message] of cases) {
    const error = await link(t, url, brief)
      .readProgress('homeport')
      .catch((thrown: unknown) => thrown)
    t.match(error, { code: 'GATEWAY_UNREACHABLE', message }, url)
    t.equal(decide(error, { hasWorked: true }), 'reconnect')
  }
})

void t.test('a key travels only where nobody reads along', async (t) => {
  for (const url of [
    'http://gateway.example',
    'ftp://x',
    'nothing',
    '',
    'https://user:pass@x',
    'http://10.0.0.1',
  ]) {
    t.throws(() => link(t, url), { code: 'CONFIG_INVALID', exitCode: 2 }, url)
  }
  for (const url of [
    'https://gateway.example',
    'http://localhost:1',
    'http://127.0.0.1:1',
    'http://[::1]:1',
  ]) {
    t.ok(link(t, url), url)
  }
  t.ok(link(t, 'http://10.0.0.1', { allowPlain: true }))
})

void t.test('a certificate must be trusted', { skip: !hasOpenssl() && 'no openssl here' }, async (t) => {
  const folder = temporaryFolder(t)
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'].concat([
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      keyFile,
      '-out',
      certFile,
    ]),
    { stdio: 'ignore' },
  )
  const server = createTlsServer(
    { key: readFileSync(keyFile), cert: readFileSync(certFile) },
    (_, response) => {
      response.writeHead(200, json).end(JSON.stringify({ progress: someProgress }))
    },
  )
  const url = `https://127.0.0.1:${await listen(t, server)}`
  const error = await link(t, url, { retries: 0 })
    .readProgress('homeport')
    .catch((thrown: unknown) => thrown)
  t.match(error, { code: 'GATEWAY_UNREACHABLE', message: /certificate is not trusted \(DEPTH_ZERO/ })
  t.equal(decide(error, { hasWorked: false }), 'stop', 'a mistake from the start')
  t.equal(decide(error, { hasWorked: true }), 'reconnect', 'one that ran out may be renewed')
  const script = `
    import { openGatewayLink } from './replication/relay/gateway-link.ts'
    const link = openGatewayLink({ url: '${url}', apiKey: 'hp_x', log: null, retries: 0 })
    process.stdout.write(JSON.stringify(await link.readProgress('homeport')))
    await link.close()`
  const said = execChild(script, { NODE_EXTRA_CA_CERTS: certFile })
  t.match(JSON.parse(await said), someProgress, "node's own setting adds an authority")

  const databaseUrl = await createDatabase(t, 'cloud')
  const tls = { key: readFileSync(keyFile), cert: readFileSync(certFile) }
  const gateway = await startTestGateway(t, { databaseUrl, tls })
  const request = tlsRequest(`${gateway.url}/live`, { ca: tls.cert }).end()
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  t.equal(answer.statusCode, 200, 'the gateway speaks TLS itself')
  t.match(await failure(link(t, gateway.url.replace('https', 'http'), { retries: 0 }).readProgress('x')), {
    code: 'GATEWAY_UNREACHABLE',
  })
})

void t.test('a batch that takes long is waited for, and sent again where nobody knows of it', async (t) => {
  const seen: string[] = []
  const slow = await standIn(t, (request, response, _body, count) => {
    seen.push(`${request.method} ${request.url?.split('?')[0]}`)
    const answers: Record<number, [number, unknown]> = {
      1: [202, { kind: 'working', batch: 'a' }],
      2: [202, { kind: 'working', batch: 'a' }],
      3: [404, { code: 'BATCH_UNKNOWN', detail: 'unknown' }],
      4: [202, { kind: 'working', batch: 'b' }],
    }
    const [status, body] = answers[count] ?? [200, applied]
    const type = status === 404 ? 'application/problem+json; charset=utf-8' : 'application/json'
    response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body))
  })
  t.match(await link(t, slow.url).apply(batch, options), applied)
  t.same(
    seen,
    ['POST', 'GET', 'GET', 'POST', 'GET'].map((method) => `${method} /v1/batches`),
  )
})

void t.test('the end of the relay ends what is under way', async (t) => {
  const stuck = await standIn(t, () => undefined)
  const stop = new AbortController()
  const gateway = link(t, stuck.url)
  const applying = failure(gateway.apply(batch, { ...options, signal: stop.signal }))
  const reading = failure(gateway.readProgress('homeport'))
  while (stuck.requests() < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  stop.abort(new HomeportError('INTERRUPTED', 'stopped'))
  t.match(await applying, { code: 'INTERRUPTED' })
  await gateway.close()
  t.match(await reading, { code: 'GATEWAY_UNREACHABLE' })
})

void t.test('a copy is not sent twice, unless nothing of it was', async (t) => {
  const range = { table: 'sources', number: 0, from: null, to: null, snapshotLsn: null, rows: null }
  const copy = (gateway: ReturnType<typeof link>, rows: Readable) =>
    gateway.seed.copyRange({ slot: 'homeport', range, columns: ['id'], snapshotLsn: '0/1', rows })
  const some = (): Readable => Readable.from([Buffer.alloc(500_000, 1)])
  const broken = await standIn(t, (request) => request.socket.destroy())
  t.match(await failure(copy(link(t, broken.url), some())), { code: 'GATEWAY_UNREACHABLE' })
  t.equal(broken.requests(), 1)
  const busy = await standIn(t, (_request, response) => response.writeHead(503).end())
  t.match(await failure(copy(link(t, busy.url), some())), { code: 'GATEWAY_UNREACHABLE' })
  t.equal(busy.requests(), 1)
  t.match(await failure(copy(link(t, 'http://127.0.0.1:1', { retries: 1 }), some())), {
    code: 'GATEWAY_UNREACHABLE',
  })
  const early = Readable.from([])
  early.destroy(Object.assign(new Error('home'), { code: '57P01' }))
  t.match(await failure(copy(link(t, busy.url), early)), { code: '57P01' })
})

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function execChild(script: string, environment: Record<string, string>): Promise<string> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { env: { PATH: process.env['PATH'], ...environment }, cwd: process.cwd() },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(stderr))
      },
    )
  })
}
