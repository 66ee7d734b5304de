import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import type { HealthReport } from '../../api/health.ts'
import type { Problem } from '../../core/http/problem.ts'
import { startApi, until } from '../support/api.ts'
import { seedContent } from '../support/content.ts'
import { createDatabase, queryRows } from '../support/databases.ts'
import { createRole } from '../support/roles.ts'
import { talks } from '../support/talks.ts'

/** Sends bytes as they are, and returns all that came until the other side hung up. */
async function sendRaw(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('error', () => undefined)
  socket.on('data', (data) => (answer += data.toString()))
  socket.write(bytes)
  await once(socket, 'close')
  return answer
}

void t.test('answers over HTTP', async (t) => {
  const owner = await createDatabase(t, 'cloud')
  await seedContent(owner, {
    sources: talks,
    model: { id: 1, dimensions: 16 },
    beatAgeSeconds: 4,
    verdict: 'match',
  })
  const reader = await createRole(t, owner)
  const api = await startApi(t, {
    databaseUrl: reader.url,
    allowWritableRole: false,
    requestsPerMinute: 100_000,
  })
  await until(
    () => api.get<HealthReport>('/health'),
    ({ body }) => body.status === 'ok',
  )

  await t.test('/search', async (t) => {
    const { status, headers, body } = await api.search({
      q: 'who fills the disk: an abandoned slot?',
      limit: '2',
    })
    t.equal(status, 200)
    t.match(headers.get('content-type'), /^application\/json/)
    t.match(body, {
      query: 'who fills the disk: an abandoned slot?',
      source: 'postgres',
      model: { id: 1, name: 'lsa-1', kind: 'lsa' },
      total: 6,
      freshness: { verified: { verdict: 'match' } },
    })
    t.equal(body.hits.length, 2)
    t.ok((body.freshness.lagSeconds ?? -1) >= 4)
    const first = body.hits[0]
    t.match(first, {
      segmentId: '1001',
      title: 'Keeping WAL in check',
      speaker: 'Ben',
      startMs: 83_000,
      source: { id: '1', kind: 'video', url: 'https://www.youtube.com/watch?v=wal0001' },
    })
    t.same(
      first?.highlights.map(([start, end]) => first.text.slice(start, end)),
      ['slot', 'abandoned', 'slot', 'fills', 'disk'],
    )
    t.ok((first?.momentMs ?? 0) > 83_000, 'the moment is inside the segment')
    t.equal(
      first?.link,
      `https://www.youtube.com/watch?v=wal0001&t=${Math.floor((first?.momentMs ?? 0) / 1000)}s`,
    )
  })

  await t.test('refusals are problem+json that name the field', async (t) => {
    const cases: [path: string, status: number, code: string, field: string | undefined][] = [
      ['/search', 400, 'QUERY_MISSING', 'q'],
      ['/search?q=', 400, 'QUERY_EMPTY', 'q'],
      [`/search?q=${'a'.repeat(10_000)}`, 400, 'QUERY_TOO_LONG', 'q'],
      ['/search?q=a%00b', 400, 'QUERY_INVALID', 'q'],
      ['/search?q=%ED%A0%80', 400, 'FIELD_ENCODING', 'q'],
      ['/search?q=a&limit=0', 400, 'FIELD_INVALID', 'limit'],
      ['/search?q=a&offset=501', 400, 'FIELD_INVALID', 'offset'],
      ['/search?q=a&order=title', 400, 'FIELD_UNKNOWN', 'order'],
      ['/nothing', 404, 'NOT_FOUND', undefined],
      ['/../package.json', 404, 'NOT_FOUND', undefined],
      ['/%', 400, 'URL_INVALID', undefined],
    ]
    for (const [path, status, code, field] of cases) {
      const answer = await api.get<Problem>(path)
      t.match(answer.headers.get('content-type'), /^application\/problem\+json/, path.slice(0, 40))
      t.match({ ...answer.body, answered: answer.status }, { status, answered: status, code, field })
    }
    const posted = await fetch(`${api.url}/search?q=a`, { method: 'POST', body: '{}' })
    t.equal(posted.status, 405)
    t.equal(posted.headers.get('allow'), 'GET, HEAD')
    t.match(await posted.json(), { code: 'METHOD_NOT_ALLOWED' })
    t.match(await fetch(`${api.url}/nothing`, { method: 'POST' }), { status: 404 })
  })

  await t.test('what is no request at all is refused in the same way', async (t) => {
    const cases: [sent: string, status: number, code: string][] = [
      [`GET /search?q=${'a'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
      [`GET /live HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
      ['GET /search?q=zyzzyva two HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'REQUEST_INVALID'],
      ['\x16\x03\x01\x02 zyzzyva\r\n\r\n', 400, 'REQUEST_INVALID'],
    ]
    for (const [sent, status, code] of cases) {
      const answer = await sendRaw(api.url, sent)
      t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), sent.slice(0, 20))
      t.match(answer, /content-type: application\/problem\+json/i)
      t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))), { status, code })
      t.notMatch(answer, /zyzzyva/, 'nothing of what came is sent back')
    }
  })

  await t.test('SQL in a question is only words', async (t) => {
    for (const q of ["'; drop table sources; --", '$1 {1,2} \\', '%_%', "' or 1=1", '{{model}}']) {
      t.equal((await api.search({ q })).status, 200, q)
    }
    t.equal((await api.search({ q: 'slot' })).body.hits.length, 6)
  })

  await t.test('health, live and ready', async (t) => {
    const { status, body } = await api.get<HealthReport>('/health')
    t.equal(status, 200)
    t.match(body, {
      status: 'ok',
      mode: 'api_only',
      gpu_available: false,
      ingestion_enabled: false,
      database_mode: 'read-only',
      total_segments: 6,
      last_updated: String,
      source: 'postgres',
      last_verified: { verdict: 'match', tables: [{ table: 'segments' }, { table: 'sources' }] },
      fallback: { ready: true, segments: 6, engine: 'scan' },
      role: { name: reader.name, read_only: true, override: false },
      model: { id: 1 },
      problems: [],
    })
    t.match(await api.get('/live'), { status: 200, body: { live: true } })
    t.match(await api.get('/ready'), { status: 200, body: { ready: true, source: 'postgres' } })
  })

  await t.test('a verdict about another cloud is none about this one', async (t) => {
    const own = `(select c.system_identifier || '/' || d.oid from pg_control_system() c, pg_database d
      where d.datname = current_database())`
    const verdictWhen = async (isThere: boolean): Promise<unknown> => {
      const { body } = await until(
        () => api.get<HealthReport>('/health'),
        ({ body }) => (body.last_verified !== null) === isThere,
      )
      const answer = await api.search({ q: 'disk' })
      return [body.last_verified?.verdict ?? null, answer.body.freshness.verified?.verdict ?? null]
    }
    await queryRows(owner, `update verifications set cloud = '7000000000000000000/5'`)
    t.strictSame(await verdictWhen(false), [null, null])
    await queryRows(owner, `update verifications set cloud = ${own}`)
    t.strictSame(await verdictWhen(true), ['match', 'match'])
  })

  await t.test('headers keep a page to itself', async (t) => {
    const { headers } = await fetch(`${api.url}/`)
    const policy = headers.get('content-security-policy') ?? ''
    t.match(policy, /default-src 'none'/)
    t.notMatch(policy, /unsafe|http:|\*/)
    t.equal(headers.get('x-content-type-options'), 'nosniff')
    t.match(headers.get('content-type'), /^text\/html/)
  })

  await t.test('a request that drips is cut off', { timeout: 30_000 }, async (t) => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /live HTTP/1.1\r\nHost: x\r\n')
    const drip = setInterval(() => socket.write('X-Drip: 1\r\n'), 500)
    socket.on('error', () => undefined)
    let answer = ''
    socket.on('data', (data) => (answer += data.toString()))
    await once(socket, 'close')
    clearInterval(drip)
    t.match(answer, /^(HTTP\/1.1 408 [^]*problem\+json[^]*REQUEST_TIMEOUT|$)/)
  })
})

void t.test('a limit of requests per address', async (t) => {
  const owner = await createDatabase(t, 'cloud')
  const api = await startApi(t, { databaseUrl: owner, requestsPerMinute: 3 })
  const statuses: number[] = []
  for (let at = 0; at < 2; at++) statuses.push((await api.get('/nothing')).status)
  for (let at = 0; at < 2; at++) {
    statuses.push(
      (await fetch(`${api.url}/search?q=a`, { headers: { 'x-forwarded-for': `10.0.0.${at}` } })).status,
    )
  }
  t.same(statuses, [404, 404, 200, 429], 'what does not exist counts, and nobody can claim another address')
  const refused = await api.get<Problem>('/search?q=a')
  t.match(refused.body, { status: 429, code: 'RATE_LIMITED' })
  t.match(refused.headers.get('content-type'), /^application\/problem\+json/)
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  t.equal((await api.get('/live')).status, 200, '/live is exempt')
})

void t.test('a trusted proxy names the visitor', async (t) => {
  const owner = await createDatabase(t, 'cloud')
  const api = await startApi(t, { databaseUrl: owner, requestsPerMinute: 1, trustedProxies: ['127.0.0.1'] })
  const from = (address: string) =>
    fetch(`${api.url}/health`, { headers: { 'x-forwarded-for': address } }).then(
      (response) => response.status,
    )
  t.not(await from('203.0.113.1'), 429)
  t.not(await from('203.0.113.2'), 429)
  t.equal(await from('203.0.113.1'), 429)
  t.equal(await from('6.6.6.6, 203.0.113.1'), 429, 'only what the proxy itself added counts')
})

void t.test('an empty collection is empty, not broken', async (t) => {
  const owner = await createDatabase(t, 'cloud')
  const api = await startApi(t, { databaseUrl: owner })
  await until(
    () => api.get('/ready'),
    ({ status }) => status === 200,
  )
  t.match(await api.search({ q: 'anything' }), {
    status: 200,
    body: {
      source: 'postgres',
      total: 0,
      hits: [],
      freshness: { asOf: null, lagSeconds: null, verified: null },
    },
  })
  t.match(await api.get<HealthReport>('/health'), {
    status: 200,
    body: { status: 'warn', total_segments: 0, problems: [/holds nothing to search/, String] },
  })
})

void t.test('a database that is not migrated is no empty answer', async (t) => {
  const bare = await createDatabase(t, 'cloud', { migrate: false })
  const api = await startApi(t, { databaseUrl: bare })
  const answer = await api.get<Problem>('/search?q=anything')
  t.match(answer, { status: 503, body: { code: 'NO_SOURCE', status: 503 } })
  t.ok(Number(answer.headers.get('retry-after')) > 0)
  t.notMatch(JSON.stringify(answer.body), /relation|select|collection/, 'no database text')
  t.match(await api.get('/ready'), { status: 503, body: { ready: false } })
  t.match(await api.get('/live'), { status: 200 })
  t.match(await api.get('/health'), { status: 503, body: { status: 'error', source: null } })
})
