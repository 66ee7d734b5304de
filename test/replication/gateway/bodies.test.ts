import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import {
  encodeEnvelopeHead,
  gatewayPaths as paths,
  mediaTypes,
} from '../../../replication/gateway/protocol.ts'
import type { Applied, CloudLink } from '../../../replication/relay/cloud-link.ts'
import { createDatabase } from '../../support/databases.ts'
import { tokenSecret } from './support.ts'
import {
  asBatch,
  asGzippedBatch,
  ask,
  envelope,
  packed,
  sendRaw,
  somePart,
  someProgress,
  startTestGateway,
  testKey,
} from './support.ts'

const applied: Applied = {
  kind: 'applied',
  isNew: true,
  progress: someProgress,
  rows: 3,
  resolved: 0,
  quarantined: 0,
}

/** A cloud that notes what reaches it. */
function notingCloud(): { cloud: Partial<CloudLink>; batches: string[]; copied: Buffer[]; failed: Error[] } {
  const batches: string[] = []
  const copied: Buffer[] = []
  const failed: Error[] = []
  return {
    batches,
    copied,
    failed,
    cloud: {
      apply: async (batch) => {
        batches.push(batch.end)
        return applied
      },
      seed: {
        begin: () => Promise.resolve(),
        ranges: () => Promise.resolve([]),
        finish: () => Promise.resolve(someProgress),
        copyRange: async ({ rows }) => {
          const chunks: Buffer[] = []
          try {
            for await (const chunk of rows) chunks.push(chunk as Buffer)
          } catch (error) {
            failed.push(error as Error)
            throw error
          }
          copied.push(Buffer.concat(chunks))
          return { rows: 2 }
        },
      },
    },
  }
}

const copyHead = encodeEnvelopeHead({
  slot: 'homeport',
  range: { table: 'segments', number: 0, from: null, to: ['7'] },
  columns: ['id'],
  snapshotLsn: '0/20',
})
const asCopy = { 'content-type': mediaTypes.copy, 'content-encoding': 'gzip' }

void t.test('bodies', async (t) => {
  const databaseUrl = await createDatabase(t, 'cloud')
  const { key } = await testKey(databaseUrl)
  const noted = notingCloud()
  const gateway = await startTestGateway(t, {
    databaseUrl,
    cloud: noted.cloud,
    limits: { maxBodyBytes: 1_000_000, maxCopyBytes: 2_000_000, lingerMs: 200 },
  })
  const batches = gateway.url + paths.batches
  const copy = gateway.url + paths.seedCopy

  await t.test('a batch comes as it is or as gzip', async (t) => {
    const body = envelope(somePart())
    t.match(await ask(batches, { key, headers: asBatch, bytes: body }), {
      status: 200,
      body: { kind: 'applied' },
    })
    t.match(await ask(batches, { key, headers: asGzippedBatch, bytes: packed(body) }), {
      status: 200,
      body: applied,
    })
    t.same(noted.batches.splice(0), ['0/20', '0/20'])
  })

  await t.test('a bomb ends at the limit, however small it was', async (t) => {
    const bomb = gzipSync(Buffer.alloc(200_000_000), { level: 9 })
    t.ok(bomb.length < 250_000)
    const before = process.memoryUsage().rss
    const cases: [string, Record<string, string>, Buffer][] = [
      [batches, asGzippedBatch, bomb],
      [copy, asCopy, gzipSync(Buffer.concat([copyHead, Buffer.alloc(3_000_000)]))],
      [gateway.url + paths.lease, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, bomb],
      [batches, asBatch, Buffer.alloc(1_000_001)],
      [
        batches,
        asGzippedBatch,
        Buffer.concat(Array.from({ length: 100 }, () => gzipSync(Buffer.alloc(50_000)))),
      ],
    ]
    for (const [url, headers, bytes] of cases) {
      const answer = await ask(url, { key, headers, bytes, method: 'POST' })
      t.match(answer, { status: 413, body: { code: 'BODY_TOO_LARGE', status: 413 } })
    }
    t.ok(process.memoryUsage().rss - before < 150_000_000, 'it was never unpacked')
    t.same([noted.batches, noted.copied], [[], []])
    t.match(noted.failed.splice(0), [{ problem: { code: 'BODY_TOO_LARGE' } }])
  })

  await t.test('what is no such body is refused by name', async (t) => {
    const good = envelope(somePart())
    const gz = packed(good)
    const flipped = Buffer.from(good)
    flipped[good.length - 40]! ^= 1
    const cases: [
      what: string,
      status: number,
      code: string,
      headers: Record<string, string>,
      bytes: Buffer,
    ][] = [
      ['br', 415, 'ENCODING_UNSUPPORTED', { ...asBatch, 'content-encoding': 'br' }, gz],
      ['two encodings', 415, 'ENCODING_UNSUPPORTED', { ...asBatch, 'content-encoding': 'gzip, gzip' }, gz],
      ['json for a batch', 415, 'MEDIA_TYPE_UNSUPPORTED', { 'content-type': 'application/json' }, good],
      ['no type', 415, 'MEDIA_TYPE_UNSUPPORTED', { 'content-type': '' }, good],
      ['text', 415, 'MEDIA_TYPE_UNSUPPORTED', { 'content-type': 'text/plain' }, good],
      ['not gzip', 400, 'BODY_DAMAGED', asGzippedBatch, good],
      ['gzip cut off', 400, 'BODY_DAMAGED', asGzippedBatch, gz.subarray(0, -5)],
      ['more after the gzip', 400, 'BODY_DAMAGED', asGzippedBatch, Buffer.concat([gz, Buffer.from('more')])],
      ['gzip announced only', 400, 'BODY_DAMAGED', asGzippedBatch, Buffer.alloc(1)],
      ['no envelope', 400, 'ENVELOPE_INVALID', asBatch, Buffer.from('abc')],
      ['a length past the end', 400, 'ENVELOPE_INVALID', asBatch, Buffer.from('ffffffff00', 'hex')],
      ['no json', 400, 'JSON_INVALID', asBatch, Buffer.from('000000027b7b', 'hex')],
      ['nothing after it', 400, 'BATCH_DAMAGED', asBatch, envelope(Buffer.alloc(0))],
      ['a flipped bit', 400, 'BATCH_DAMAGED', asBatch, flipped],
      ['another slot', 400, 'ENVELOPE_INVALID', asBatch, envelope(somePart({ slot: 'other' }))],
      ['parts without digests', 400, 'ENVELOPE_INVALID', asBatch, envelope(somePart({ part: 2 }))],
    ]
    for (const [what, status, code, headers, bytes] of cases) {
      t.match(await ask(batches, { key, headers, bytes }), { status, body: { code } }, what)
    }
    t.match(await ask(batches, { key, method: 'POST' }), { status: 400 }, 'no body at all')
    t.same(noted.batches, [])
  })

  await t.test('schemas are to the letter', async (t) => {
    const lease = { slot: 'homeport', epoch: '1', holder: 'a' }
    const request = {
      slot: 'homeport',
      holder: 'a',
      holderName: 'home',
      systemIdentifier: '7',
      timeline: 1,
      leaseSeconds: 30,
    }
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const cases: [what: string, path: string, body: string][] = [
      ['a number as text', paths.lease, JSON.stringify({ ...request, timeline: '1' })],
      ['text as a number', paths.lease, JSON.stringify({ ...request, slot: 7 })],
      ['a field too many', paths.lease, JSON.stringify({ ...request, more: 1 })],
      ['a field too few', paths.lease, JSON.stringify({ ...request, holder: undefined })],
      ['null', paths.lease, JSON.stringify({ ...request, holder: null })],
      ['an empty holder', paths.lease, JSON.stringify({ ...request, holder: '' })],
      ['a NUL', paths.lease, JSON.stringify({ ...request, holder: 'a\u0000' })],
      ['a slot with a quote', paths.lease, JSON.stringify({ ...request, slot: `home'--` })],
      ['a lease for ever', paths.lease, JSON.stringify({ ...request, leaseSeconds: 1e9 })],
      ['1e400', paths.lease, JSON.stringify(request).replace('30', '1e400')],
      ['__proto__', paths.lease, JSON.stringify(request).replace('{', '{"__proto__":{"x":1},')],
      [
        'constructor',
        paths.lease,
        JSON.stringify(request).replace('{', '{"constructor":{"prototype":{"x":1}},'),
      ],
      ['deep', paths.renewal, `{"lease":${deep}}`],
      ['an array', paths.renewal, '[]'],
      ['nothing', paths.renewal, ''],
      ['an epoch with a sign', paths.renewal, JSON.stringify({ lease: { ...lease, epoch: '-1' } })],
      ['a state that is none', paths.report, JSON.stringify({ lease, report: { state: 'x' } })],
      ['a table that is a number', paths.seed, JSON.stringify({ progress: {}, ranges: [], empty: [1] })],
    ]
    for (const [what, path, text] of cases) {
      const headers = { 'content-type': 'application/json' }
      const { status, body } = await ask(gateway.url + path, {
        key,
        headers,
        bytes: Buffer.from(text),
        method: 'POST',
      })
      t.equal(status, 400, what)
      t.match(String(body['code']), /^(REQUEST_INVALID|JSON_INVALID)$/, what)
    }
    const bad = envelope(somePart(), {
      fetched: [{ table: 'a', key: ['\u0000'], columns: [], values: null }],
    })
    t.match(await ask(batches, { key, headers: asBatch, bytes: bad }), { status: 400 }, 'a NUL in a row')
    const extra = envelope(somePart(), { more: 1 } as object)
    t.match(
      await ask(batches, { key, headers: asBatch, bytes: extra }),
      { status: 400 },
      'one more instruction',
    )
    const slot = await ask(`${gateway.url}${paths.progress}?slot=homeport&slot=other`, { key })
    t.equal(slot.status, 400)
    t.equal((await ask(`${gateway.url}${paths.progress}?slot=homeport&x=1`, { key })).status, 400)
  })

  await t.test('only content may be copied, and nothing that is no range', async (t) => {
    const progress = { slot: 'homeport', systemIdentifier: '7', timeline: 1, commitLsn: '0/1', endLsn: '0/1' }
    for (const table of ['gateway_keys', 'relay_progress', 'pg_authid', 'knex_migrations']) {
      const range = { table, number: 0, from: null, to: null }
      const answers = [
        await ask(gateway.url + paths.seed, { key, json: { progress, ranges: [range], empty: [] } }),
        await ask(gateway.url + paths.seed, { key, json: { progress, ranges: [], empty: [table] } }),
        await ask(copy, {
          key,
          headers: asCopy,
          bytes: gzipSync(
            encodeEnvelopeHead({ slot: 'homeport', range, columns: ['id'], snapshotLsn: '0/1' }),
          ),
        }),
      ]
      for (const answer of answers)
        t.match(answer, { status: 409, body: { code: 'TABLE_NOT_PUBLISHED' } }, table)
    }
    t.same(noted.copied, [])
  })

  await t.test('the rows of a range pass as they come', async (t) => {
    const rows = randomBytes(700_000)
    const bytes = gzipSync(Buffer.concat([copyHead, rows]))
    t.match(await ask(copy, { key, headers: asCopy, bytes }), { status: 200, body: { rows: 2 } })
    t.ok(noted.copied.splice(0)[0]?.equals(rows))
    for (const length of [0, 3, copyHead.length - 1]) {
      const cut = gzipSync(copyHead.subarray(0, length))
      const answer = await ask(copy, { key, headers: asCopy, bytes: cut })
      t.match(answer, { status: 400, body: { code: 'ENVELOPE_INVALID' } }, `${length} bytes`)
    }
    t.same([noted.copied, noted.failed.splice(0)], [[], []])
  })

  await t.test('a request that is cut at byte k changes nothing', async (t) => {
    const content = envelope(somePart({}, [randomBytes(300)]))
    const requests: [path: string, type: string, body: Buffer][] = [
      [paths.batches, mediaTypes.batch, packed(content)],
      [paths.seedCopy, mediaTypes.copy, gzipSync(Buffer.concat([copyHead, randomBytes(400)]))],
    ]
    for (const [path, type, body] of requests) {
      const head =
        `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: ${type}\r\n` +
        'content-encoding: gzip\r\n'
      const whole = Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`)
      const chunked = Buffer.concat([
        Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`),
        body,
        Buffer.from('\r\n0\r\n\r\n'),
      ])
      for (const request of [Buffer.concat([whole, body]), chunked]) {
        for (let cut = 1; cut < request.length; cut += 1 + Math.floor(request.length / 40)) {
          await sendRaw(gateway.url, request.subarray(0, cut), true)
        }
        // All but the last byte, and the end that is no end.
        await sendRaw(gateway.url, request.subarray(0, -1), true)
      }
    }
    const whole = await ask(batches, { key, headers: asGzippedBatch, bytes: packed(content) })
    t.match(whole, { status: 200, body: { kind: 'applied' } })
    t.same([noted.batches.splice(0), noted.copied], [['0/20'], []], 'only the whole one arrived')
    t.ok(noted.failed.length > 0, 'some were cut while their rows were passing')
  })

  await t.test('a refusal does not wait for the body', async (t) => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(
      `POST ${paths.batches} HTTP/1.1\r\nhost: x\r\ncontent-type: ${mediaTypes.batch}\r\ncontent-length: 900000\r\n\r\n`,
    )
    const [answer] = (await once(socket, 'data')) as [Buffer]
    t.match(answer.toString(), /^HTTP\/1.1 401/)
    // It goes on sending, and is hung up on.
    const drip = setInterval(() => socket.write('x'), 20)
    await closed
    clearInterval(drip)
  })

  t.notMatch(gateway.logged(), tokenSecret)
})

void t.test('who sends too slowly, or nothing, is hung up on', async (t) => {
  const databaseUrl = await createDatabase(t, 'cloud')
  const { key } = await testKey(databaseUrl)
  const noted = notingCloud()
  const gateway = await startTestGateway(t, {
    databaseUrl,
    cloud: noted.cloud,
    limits: { minBytesPerSecond: 10_000, bodyGraceMs: 400, headersTimeoutMs: 600, lingerMs: 100 },
  })
  const head =
    `POST ${paths.batches} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n` +
    `content-type: ${mediaTypes.batch}\r\n`

  const drip = async (start: string, each: string): Promise<string> => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
    let answer = ''
    socket.on('error', () => undefined)
    socket.on('data', (data) => (answer += data.toString()))
    socket.write(start)
    const timer = setInterval(() => socket.write(each), 50)
    await once(socket, 'close')
    clearInterval(timer)
    return answer
  }
  t.match(await drip(`${head}content-length: 100000\r\n\r\n`, 'x'), /^HTTP\/1.1 408.*BODY_TOO_SLOW/s)
  t.match(await drip(`${head}transfer-encoding: chunked\r\n\r\n`, '1\r\nx\r\n'), /^HTTP\/1.1 408/)
  t.match(await sendRaw(gateway.url, `${head}content-length: 10\r\n\r\n`), /^HTTP\/1.1 408/, 'nothing at all')
  t.match(await drip(head, 'x: y\r\n'), /^HTTP\/1.1 408/, 'headers for ever')
  await sendRaw(gateway.url, '')
  t.pass('nothing ever')
  t.same(noted.batches, [])
  t.equal((await ask(`${gateway.url}/live`)).status, 200)
})

void t.test('the database may be slow: the sender is not blamed for it', async (t) => {
  const databaseUrl = await createDatabase(t, 'cloud')
  const { key } = await testKey(databaseUrl)
  let read = 0
  const gateway = await startTestGateway(t, {
    databaseUrl,
    cloud: {
      seed: {
        ...notingCloud().cloud.seed!,
        copyRange: async ({ rows }) => {
          await sleep(1_500)
          for await (const chunk of rows) read += (chunk as Buffer).length
          return { rows: 1 }
        },
      },
    },
    limits: { minBytesPerSecond: 1_000_000_000, bodyGraceMs: 500 },
  })
  const bytes = gzipSync(Buffer.concat([copyHead, randomBytes(5_000_000)]))
  const answer = await ask(gateway.url + paths.seedCopy, { key, headers: asCopy, bytes })
  t.match(answer, { status: 200, body: { rows: 1 } })
  t.equal(read, 5_000_000)
})
