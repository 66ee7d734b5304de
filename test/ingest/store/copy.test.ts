import t from 'tap'
import { toHalves } from '../../../core/vector.ts'
import { CopyDecoder, decodeIntArray, type CopyFields } from '../../../ingest/store/copy-decoder.ts'
import { CopyEncoder } from '../../../ingest/store/copy-encoder.ts'
import { openPrimary } from '../../../ingest/store/primary.ts'
import { storable, storableJson } from '../../../ingest/store/storable.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'

t.test('what Postgres cannot store is replaced, character for character', async (t) => {
  t.equal(storable('plain 😀'), 'plain 😀')
  t.equal(storable('a\0b\ud800c\udc00'), 'a\ufffdb\ufffdc\ufffd')
  t.equal(storableJson({ a: ['\ud83d', '😀', 1] }), '{"a":["\ufffd","😀",1]}')
})

t.test('rows survive any border between chunks', async (t) => {
  const rows = new CopyEncoder(8)
  rows.row(3).int8('-9223372036854775808').text('é😀').int4Array([1, -2, 2_147_483_647])
  rows.row(3).int8('1').null().int4Array([])
  const bytes = rows.take(true)
  for (let size = 1; size <= bytes.length; size += 1) {
    const decoder = new CopyDecoder()
    const found: CopyFields[] = []
    for (let at = 0; at < bytes.length; at += size) found.push(...decoder.push(bytes.subarray(at, at + size)))
    t.equal(found.length, 2, `chunks of ${size}`)
    const [first, second] = found
    t.equal(first?.[0]?.readBigInt64BE(0), -(2n ** 63n))
    t.equal(first?.[1]?.toString(), 'é😀')
    t.same([...decodeIntArray(first?.[2] ?? Buffer.alloc(0))], [1, -2, 2_147_483_647])
    t.equal(second?.[1], null)
    t.equal(decodeIntArray(second?.[2] ?? Buffer.alloc(0)).length, 0)
  }
})

t.test('Postgres reads every type as it was meant', async (t) => {
  const url = await createDatabase(t, 'primary')
  const primary = await openPrimary(url)
  t.teardown(() => primary.close())
  const source = await primary.change('ingest/insert-source', [
    ...['video', 'https://example.org', 'T', null, 'en', 1000],
    ...[new Date('2024-02-29T01:02:03.456Z'), '9007199254740993', 'public', 'captions-auto', '7'],
  ])
  t.equal(source, 1)
  const rows = new CopyEncoder(16)
  rows
    .row(13)
    .int8('-5')
    .int8('7')
    .text('public')
    .int4(3)
    .int4(null)
    .int4(2_147_483_647)
    .text('Ch\0apter')
    .text(null)
    .text('a "quoted", \\ text\nwith lines 😀')
    .jsonb([{ speaker: 'A\ud800', offset: 0, startMs: null }])
    .int4Array([0, 70_000])
    .text('webvtt')
    .real(0.1)
  await primary.copyIn('ingest/copy-segments', rows)
  const terms = new CopyEncoder()
  terms.row(5).int8('-5').text('public').int4Array([-2_147_483_648, 5]).int2Array([1, 32_767]).int4(9)
  await primary.copyIn('ingest/copy-terms', terms)
  await primary.change('ingest/insert-model', ['m', 'lsa', 'f', 3, 0.8, 0.2, null])
  const vectors = new CopyEncoder()
  vectors
    .row(4)
    .int4(1)
    .int8('-5')
    .text('public')
    .halfvec(toHalves([0.5, -1, 65_504]))
  await primary.copyIn('ingest/copy-embeddings', vectors)
  t.match(
    await queryRows(
      url,
      `select s.*, t.terms, t.counts, e.embedding::text as embedding
       from segments s join segment_terms t on t.segment_id = s.id join embeddings e on e.segment_id = s.id`,
    ),
    [
      {
        id: '-5',
        source_id: '7',
        ordinal: 3,
        start_ms: null,
        end_ms: 2_147_483_647,
        chapter: 'Ch\ufffdapter',
        speaker: null,
        text: 'a "quoted", \\ text\nwith lines 😀',
        turns: [{ speaker: 'A\ufffd', offset: 0, startMs: null }],
        word_starts_ms: [0, 70_000],
        confidence: 0.1,
        terms: [-2_147_483_648, 5],
        counts: [1, 32_767],
        embedding: '[0.5,-1,65504]',
      },
    ],
  )
  t.match(await queryRows(url, 'select * from sources'), [
    { views: '9007199254740993', published_at: new Date('2024-02-29T01:02:03.456Z') },
  ])
})

t.test('an error while rows are sent leaves nothing and a session that works', async (t) => {
  const primary = await openPrimary(await createDatabase(t, 'primary'))
  t.teardown(() => primary.close())
  await t.rejects(
    primary.transaction(async (statements) => {
      await statements.change('ingest/insert-model', ['m', 'lsa', 'f', 3, 0.8, 0.2, null])
      await statements.copyIn(
        'ingest/copy-model-terms',
        (async function* () {
          const rows = new CopyEncoder()
          rows
            .row(3)
            .int4(1)
            .int4(1)
            .halfvec(toHalves([1, 2, 3]))
          yield rows.take(false)
          await Promise.resolve()
          throw new Error('made no more')
        })(),
      )
    }),
    /made no more/,
  )
  t.same(await primary.rows('ingest/generations'), [])
})
