import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { describeHealth, startHealthServer } from '../../../replication/relay/health-server.ts'
import { createRelayMetrics } from '../../../replication/relay/metrics.ts'
import { relayStates, type RelayStatus } from '../../../replication/relay/status-file.ts'
import { quietStatus } from './sample-status.ts'

t.test('over real HTTP, on this machine only', async (t) => {
  let status: RelayStatus = quietStatus
  const metrics = createRelayMetrics()
  const server = await startHealthServer({ port: 0, metrics, health: () => status })
  t.teardown(() => server.close())
  t.equal(server.url, `http://127.0.0.1:${server.port}`)
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${server.url}${path}`, init)
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  const fine = await get('/health')
  t.equal(fine.status, 200)
  t.strictSame(JSON.parse(fine.text), { status: 'ok', pid: process.pid, ...quietStatus })
  t.equal(fine.headers.get('cache-control'), 'no-store')
  const lastError = {
    code: 'SLOT_LOST',
    message: 'the slot is lost',
    hint: 'ops reseed',
    at: quietStatus.since,
  }
  status = { ...quietStatus, state: 'stopped', lastError }
  const stopped = await get('/health')
  t.equal(stopped.status, 503)
  t.match(JSON.parse(stopped.text), { status: 'failing', state: 'stopped', lastError })

  const live = await get('/live')
  t.equal(live.status, 200)
  t.strictSame(JSON.parse(live.text), { status: 'live' }, 'it runs all the same')

  metrics.onSent('direct', 42)
  const scraped = await get('/metrics')
  t.match(scraped, { status: 200, text: /^homeport_relay_bytes_sent_total\{transport="direct"\} 42$/m })
  t.match(scraped.text, /^homeport_relay_stopped\{code="SLOT_LOST"\} 1$/m)
  t.match(scraped.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)

  t.equal((await get('/')).status, 404)
  t.equal((await get('/health', { method: 'POST' })).status, 404, 'nothing can be changed')
  t.equal((await get('/health', { method: 'HEAD' })).status, 503)
})

t.test('200 while the cloud gets what it should', async (t) => {
  const ok = relayStates.filter((state) => describeHealth({ ...quietStatus, state }).status === 'ok')
  t.strictSame(ok, ['seeding', 'following', 'draining'])
})

t.test('a port that is taken is named', async (t) => {
  const given = { metrics: createRelayMetrics(), health: () => quietStatus }
  const first = await startHealthServer({ ...given, port: 0 })
  t.teardown(() => first.close())
  await t.rejects(startHealthServer({ ...given, port: first.port }), {
    code: 'LISTEN_FAILED',
    message: `127.0.0.1:${first.port} is taken by another program`,
    hint: /RELAY_PORT/,
  })
})

t.test('its end waits for nobody', async (t) => {
  const server = await startHealthServer({
    port: 0,
    metrics: createRelayMetrics(),
    health: () => quietStatus,
  })
  // One that says nothing, and one that has asked and stays.
  const idle = connect(server.port, '127.0.0.1')
  await once(idle, 'connect')
  const kept = connect(server.port, '127.0.0.1')
  kept.write('GET /live HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(kept, 'data')
  const ended = Promise.all([once(idle, 'close'), once(kept, 'close')])
  idle.resume()
  kept.resume()
  await server.close()
  await ended
  await t.rejects(fetch(server.url))
})
