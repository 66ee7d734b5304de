import t from 'tap'
import type pg from 'pg'
import { publishedTables } from '../../core/published-tables.ts'
import { passFence } from '../support/oracles/equality.ts'
import { SlotSampler } from '../support/oracles/slot-sampler.ts'
import { TearReader } from '../support/oracles/tear-reader.ts'
import { privateCluster } from '../support/clusters.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'

const rows = 1_000_000

// Row 23. The transaction is larger than the memory that the relay may use.
t.test('one huge transaction arrives whole, within bounded memory', async (t) => {
  // A server of its own: while it is open, no slot can be made there.
  const pair = await createRelayPair(t, { primaryCluster: await privateCluster(t) })
  const { primary, cloud, slot } = pair
  const role = new URL(pair.settings['REPLICATION_DATABASE_URL'] ?? '').username
  // Streamed while it is still open, from far less than it would take by default.
  await primary.query(`alter role ${role} set logical_decoding_work_mem = '64kB'`)
  const relay = startRelay(t, pair, { nodeOptions: ['--max-old-space-size=128'] })
  await passFence(primary, cloud)
  const sampler = new SlotSampler({ primary, cloud, slot })
  const reader = new TearReader(cloud)
  t.teardown(() => Promise.all([sampler.stop(), reader.stop()]))
  const session = await primary.connect()
  try {
    await session.query('begin')
    // Money moves in the same transaction: a part of it in the cloud would not add up.
    await session.query('update lexicon set documents = documents - 100 where term = 8')
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
    await session.query('update lexicon set documents = documents + 100 where term = 9')
    await session.query('commit')
    // Another one, rolled back after most of it was sent, with a part of its own rolled back before.
    await session.query('begin')
    await session.query(`update segments set text = text || '!' where id <= $1`, [rows / 20])
    await session.query('savepoint s')
    await session.query('update segments set chapter = text where id <= $1', [rows / 20])
    await session.query('rollback to savepoint s')
    await session.query('rollback')
    await session.query(`update segments set speaker = 'Ann' where id <= 1000`)
  } finally {
    session.release()
  }
  await passFence(primary, cloud, 1_800_000)
  t.same(await digest(cloud, 'true'), await digest(primary, 'published'))
  t.same([...sampler.violations, ...reader.violations], [])
  t.ok(reader.reads > 0)
  t.comment(`the relay used at most ${relay.rssPeakMb.toFixed()} MB`)
  t.ok(relay.rssPeakMb < 300, `${relay.rssPeakMb.toFixed()} MB`)
  t.match(await relay.terminate(), { code: 0 })
})

/** Count and sum of hashes of every table, made by the server: too many rows to compare here. */
async function digest(db: pg.Pool, which: 'true' | 'published'): Promise<object[]> {
  const found: object[] = []
  for (const { name, columns, filter = 'true' } of publishedTables) {
    const result = await db.query<Record<string, string>>(
      `select '${name}' as table, count(*), sum(hashtextextended(jsonb_build_array(${columns.join(', ')})::text, 0))
       from ${name} where ${which === 'published' ? filter : 'true'}`,
    )
    found.push(...result.rows)
  }
  return found
}
