import t from 'tap'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { isFull } from './support.ts'

// Row 23. The transaction is larger than the memory that the relay may use.
t.test('one huge transaction arrives whole, within bounded memory', async (t) => {
  const pair = await createRelayPair(t)
  const { primary } = pair
  const role = new URL(pair.settings['REPLICATION_DATABASE_URL'] ?? '').username
  // Streamed while it is still open, from far less than it would take by default.
  await primary.query(`alter role ${role} set logical_decoding_work_mem = '64kB'`)
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair, { nodeOptions: ['--max-old-space-size=128'] })
  const rows = isFull ? 1_000_000 : 30_000
  const writing = watch.write({ seed: 1, operations: 30 })
  const session = await primary.connect()
  try {
    await session.query('begin')
    // Moves money in the same transaction: a part of it in the cloud would not add up.
    await session.query('update lexicon set documents = documents - 100 where term = 9')
    await session.query(`insert into sources (id, kind, title, visibility, transcript_method, processed_at)
      values (1, 'video', 'a long talk', 'public', 'transcript', now())`)
    await session.query(
      `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
       select n, 1, 'public', n, repeat(md5(n::text), 30), '[]', 'test' from generate_series(1, $1::int) as n`,
      [rows],
    )
    await session.query(
      `insert into segment_terms select n, 'public', '{1,2}', '{1,1}', 2 from generate_series(1, $1::int) as n`,
      [rows],
    )
    await session.query('update lexicon set documents = documents + 100 where term = 8')
    await session.query('commit')
    // Another one that is rolled back after most of it was sent.
    await session.query('begin')
    await session.query(`update segments set text = text || '!' where id <= $1`, [rows / 10])
    await session.query('rollback')
  } finally {
    session.release()
  }
  await writing
  await watch.judge(t, `${rows} rows`, 1_800_000)
  t.ok(relay.rssPeakMb < 300, `${relay.rssPeakMb.toFixed()} MB`)
  t.comment(`peak of the relay: ${relay.rssPeakMb.toFixed()} MB`)
  t.match(await relay.terminate(), { code: 0 })
})
