import { request } from 'node:http'
import t, { type Test } from 'tap'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import type { MonitorState } from '../../../replication/monitor/monitor-metrics.ts'
import { startMonitorServer, type MonitorData } from '../../../replication/monitor/monitor-server.ts'
import { temporaryFolder } from '../../support/api.ts'
import { readPrometheusText } from '../../support/prometheus-text.ts'
import { driftAlert, quietSample } from './sample-data.ts'

const now = Date.now()
const ago = (seconds: number): Date => new Date(now - seconds * 1000)
const state: MonitorState = { sample: quietSample(ago(1)), alerts: [], since: ago(40).toISOString() }

async function start(t: Test, current: () => MonitorState, beatSeconds?: number) {
  const history = await MonitorHistory.open({ folder: temporaryFolder(t) })
  const beat = beatSeconds === undefined ? {} : { beatSeconds }
  const server = await startMonitorServer({ port: 0, history, current, ...beat })
  t.teardown(() => server.close())
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${server.url}${path}`, init)
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  const data = async (hours: number | string): Promise<MonitorData> =>
    JSON.parse((await get(`/data.json?hours=${hours}`)).text) as MonitorData
  return { history, server, get, data }
}

t.test('health, life and metrics', async (t) => {
  let current = state
  const { get, server } = await start(t, () => current)
  t.equal(server.url, `http://127.0.0.1:${server.port}`, 'this machine only')
  const fine = await get('/health')
  t.equal(fine.status, 200)
  t.equal(fine.headers.get('cache-control'), 'no-store')
  t.strictSame(JSON.parse(fine.text), {
    status: 'ok',
    program: 'homeport monitor',
    pid: process.pid,
    since: state.since,
    sampleAt: state.sample?.at,
    alerts: [],
  })
  const warning = driftAlert(ago(30), { severity: 'warning' })
  current = { ...state, alerts: [warning] }
  t.match(await get('/health'), { status: 200, text: /"severity":"warning"/ })
  current = { ...state, alerts: [warning, driftAlert(ago(30))] }
  const failing = await get('/health')
  t.equal(failing.status, 503)
  t.match(JSON.parse(failing.text), { status: 'failing', alerts: [{}, { fix: 'ops repair segments' }] })
  t.match(await get('/live'), { status: 200, text: '{"status":"live"}' })

  const scraped = await get('/metrics')
  t.match(scraped.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const families = readPrometheusText(scraped.text)
  t.equal(
    families.get('homeport_replication_lag_seconds')?.samples.get('homeport_replication_lag_seconds'),
    0.4,
  )
  current = { sample: null, alerts: [], since: state.since }
  t.match(JSON.parse((await get('/health')).text), { status: 'ok', sampleAt: null })
  t.equal((await get('/metrics')).status, 200)
})

t.test('a look that is old is no good sign, by how often there should be one', async (t) => {
  const old = { ...state, sample: quietSample(ago(200)) }
  const often = await start(t, () => old)
  t.match(await often.get('/health'), { status: 503, text: /"failing"/ })
  t.equal((await often.data(0)).oldAfterSeconds, 60)
  const seldom = await start(t, () => old, 60)
  t.match(await seldom.get('/health'), { status: 200 })
  t.equal((await seldom.data(0)).oldAfterSeconds, 360)
  const never = await start(t, () => ({ sample: null, alerts: [], since: ago(200).toISOString() }))
  t.equal((await never.get('/health')).status, 503, 'it hangs from the start')
})

t.test('what the page draws', async (t) => {
  const open = driftAlert(ago(30))
  const { get, data, history } = await start(t, () => ({ ...state, alerts: [open] }))
  t.match(await data(1), { hours: 1, samples: [], past: [], alerts: [{ code: 'DRIFT' }], historyError: null })
  for (let place = 1000; place > 0; place -= 1) await history.addSample(quietSample(ago(place * 3)))
  await history.addSample(quietSample(ago(7200), { lag: { bytes: 0, seconds: 77 } }))
  for (const [seconds, code] of [
    [9000, 'OLD'],
    [1000, 'FIRST'],
    [500, 'LAST'],
  ] as const) {
    await history.addAlert(
      driftAlert(ago(seconds + 60), { id: code, code, until: ago(seconds).toISOString() }),
    )
  }
  await history.addAlert(open)
  const hour = await data(1)
  t.ok(hour.samples.length > 500 && hour.samples.length <= 720, `${hour.samples.length} samples`)
  t.match(hour.samples[0], { lag: { seconds: 0.4 }, slot: { retainedBytes: 4_000_000 } })
  t.notOk('tables' in (hour.samples[0] ?? {}), 'proofs are told once')
  t.match(hour.current, { tables: [{ table: 'segments' }, {}] })
  t.strictSame(
    hour.past.map(({ code }) => code),
    ['LAST', 'FIRST'],
    'the open one is not among those that are over',
  )
  const more = await data(3)
  t.equal(more.samples[0]?.lag.seconds, 77)
  t.equal(more.past.length, 3)
  t.match(await data(0), { samples: [], current: {}, alerts: [{}] })
  for (const hours of ['-1', 'x', '99999', '1e9'])
    t.equal((await get(`/data.json?hours=${hours}`)).status, 400)
})

t.test('a history that cannot be read hides nothing else', async (t) => {
  const server = await startMonitorServer({
    port: 0,
    current: () => state,
    history: {
      unreadableLines: 0,
      alerts: async () => [],
      samples: () => Promise.reject(new Error('EIO: i/o error')),
    },
  })
  t.teardown(() => server.close())
  const response = await fetch(`${server.url}/data.json?hours=1`)
  t.match(await response.json(), {
    historyError: 'EIO: i/o error',
    current: { at: state.sample?.at },
    samples: [],
  })
})

t.test('the page and what it needs, and nothing of elsewhere', async (t) => {
  const { get } = await start(t, () => state)
  const page = await get('/')
  t.match(page, { status: 200, text: /<title>Homeport monitor<\/title>/ })
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'none'.*script-src 'self'/)
  t.notMatch(policy, /unsafe|http:/)
  t.equal(page.headers.get('x-content-type-options'), 'nosniff')
  const parts = [...page.text.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map((found) => found[1] ?? '')
  t.strictSame(parts.sort(), ['/page.js', '/style.css', '/uplot.css'])
  const types = {
    '/page.js': /javascript/,
    '/style.css': /css/,
    '/uplot.css': /css/,
    '/uplot.js': /javascript/,
  }
  for (const [path, type] of Object.entries(types)) {
    const part = await get(path)
    t.equal(part.status, 200, path)
    t.match(part.headers.get('content-type'), type, path)
    t.notMatch(part.text, /(?:import|url\(|fetch\()\s*['"(]?https?:/, `${path} loads nothing from elsewhere`)
  }
  for (const path of [
    '/../monitor-server.ts',
    '/%2e%2e/monitor-server.ts',
    '/package.json',
    '/uPlot.cjs.js',
  ]) {
    t.equal((await get(path)).status, 404, path)
  }
  t.equal((await get('/health', { method: 'POST' })).status, 404, 'nothing can be changed')
})

t.test('a name of somebody else that leads here reads nothing', async (t) => {
  const { server } = await start(t, () => ({ ...state, alerts: [driftAlert(ago(1))] }))
  const ask = (host: string, path: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const asked = request({ port: server.port, host: '127.0.0.1', path, headers: { host } }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => (text += part))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      })
      asked.on('error', reject).end()
    })
  for (const host of [
    'evil.example',
    `evil.example:${server.port}`,
    '127.0.0.1.evil.example',
    'localhost.evil',
  ]) {
    for (const path of ['/data.json', '/', '/metrics', '/health', '/page.js']) {
      const { status, text } = await ask(host, path)
      t.equal(status, 421, `${host} ${path}`)
      t.notMatch(text, /segments|<title>/)
    }
  }
  for (const host of [
    'localhost',
    `LOCALHOST:${server.port}`,
    '127.0.0.1:1',
    '[::1]:9189',
    '192.168.1.7',
    'monitor.localhost',
  ]) {
    t.equal((await ask(host, '/live')).status, 200, host)
  }
})

t.test('a port that is taken is named', async (t) => {
  const { server, history } = await start(t, () => state)
  await t.rejects(startMonitorServer({ port: server.port, history, current: () => state }), {
    code: 'LISTEN_FAILED',
    message: `127.0.0.1:${server.port} is taken by another program`,
    hint: /MONITOR_PORT=\d+/,
  })
})
