import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type pg from 'pg'
import {
  anything,
  decodePartFrames,
  insertedIds,
  publishNotes,
  readParts,
  takeRows,
  until,
  withSmallMemory,
  type Published,
} from './support.ts'

async function insert(session: pg.Client, from: number, to: number): Promise<void> {
  await session.query(`insert into notes select n, md5(n::text) || n from generate_series($1::int, $2) n`, [
    from,
    to,
  ])
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)

async function openSmall(primary: Published, protocol: 'auto' | 1 | 2 = 'auto') {
  return primary.open({ connectionString: withSmallMemory(primary.url), protocol, maxBufferedBytes: 1 << 20 })
}

for (const protocol of ['auto', 2, 1] as const) {
  t.test(`large transactions with savepoints come whole, protocol ${protocol}`, async (t) => {
    const primary = await publishNotes(t)
    const stream = await openSmall(primary, protocol)
    const [one, two] = [await primary.session(), await primary.session()]
    await one.query('begin')
    await two.query('begin')
    await insert(one, 1, 2_000)
    await insert(two, 100_001, 102_000)
    await one.query('savepoint outer_one')
    await insert(one, 2_001, 4_000)
    await one.query('savepoint inner_one')
    await insert(one, 4_001, 6_000)
    await one.query('release inner_one')
    await insert(two, 102_001, 103_000)
    await insert(one, 6_001, 6_500)
    await one.query('rollback to outer_one')
    await insert(one, 7_001, 8_000)
    // What commits in the meantime comes first.
    await insert(primary.db, 200_001, 200_010)
    await two.query('rollback')
    await one.query('savepoint last_one')
    await insert(one, 9_001, 10_000)
    await one.query('commit')
    await insert(primary.db, 200_011, 200_020)
    t.same(await takeRows(stream, 4_020), [
      ...range(200_001, 200_010),
      ...range(1, 2_000),
      ...range(7_001, 8_000),
      ...range(9_001, 10_000),
      ...range(200_011, 200_020),
    ])
    await stream.close()
    t.same(readdirSync(join(t.testdirName, 'spill')), [])
    // The server's own count says whether this test saw what it is about.
    const wasStreamed = async (): Promise<boolean> => {
      const { rows } = await primary.db.query<{ count: string }>(
        'select stream_txns as count from pg_stat_replication_slots where slot_name = $1',
        [primary.slot],
      )
      return Number(rows[0]?.count) >= 2
    }
    if (protocol !== 1) await until(wasStreamed)
  })
}

t.test('columns are as the stream was asked to send them, and messages travel', async (t) => {
  const primary = await publishNotes(t)
  for (const binary of [true, false]) {
    const stream = await primary.open({ binary })
    await primary.db.query('begin')
    await primary.db.query(`insert into notes values ($1, 'words')`, [binary ? 1 : 2])
    await primary.db.query(`select pg_logical_emit_message(true, 'homeport', 'with it')`)
    await primary.db.query(`select pg_logical_emit_message(false, 'homeport', 'not with it')`)
    await primary.db.query('commit')
    const batch = await stream.nextBatch(anything)
    if (batch === null) throw new Error('the stream ended')
    const messages = (await readParts(batch)).flatMap(decodePartFrames)
    t.match(
      messages.map((message) => message.type),
      ['relation', 'begin', 'insert', 'message', 'commit'],
    )
    const kind = binary ? 'b' : 't'
    t.match(messages[2], { new: { kinds: Uint8Array.from([kind, kind], (one) => one.charCodeAt(0)) } })
    t.match(messages[3], { prefix: 'homeport', content: Buffer.from('with it') })
    stream.ackDurable(batch.end)
    await stream.close()
  }
})

t.test('a table that is changed within a transaction is described as each row was written', async (t) => {
  const primary = await publishNotes(t)
  const stream = await openSmall(primary)
  const session = await primary.session()
  await session.query('begin')
  await insert(session, 1, 1_000)
  await session.query('savepoint s')
  await session.query('alter table notes add column more text')
  await session.query(`insert into notes select n, md5(n::text), 'lost' from generate_series(1001, 2000) n`)
  await session.query('rollback to s')
  await insert(session, 2_001, 3_000)
  await session.query('alter table notes add column other int')
  await session.query(`insert into notes select n, md5(n::text), n from generate_series(3001, 4000) n`)
  await session.query('commit')
  await insert(primary.db, 5_000, 5_000)
  const widths = new Map<number, number>()
  const ids: number[] = []
  while (ids.length < 3_001) {
    const batch = await stream.nextBatch(anything)
    if (batch === null) throw new Error('the stream ended')
    ids.push(...(await insertedIds(batch)))
    for (const part of await readParts(batch)) {
      let described = 0
      for (const message of decodePartFrames(part)) {
        if (message.type === 'relation') described = message.columns.length
        if (message.type !== 'insert') continue
        if (message.new.kinds.length !== described) t.fail('a row does not fit its description')
        widths.set(described, (widths.get(described) ?? 0) + 1)
      }
    }
    stream.ackDurable(batch.end)
    await batch.release()
  }
  t.same(ids, [...range(1, 1_000), ...range(2_001, 4_000), 5_000])
  t.same([...widths].sort(), [[2, 2_000], [3, 1_001]])
}) // prettier-ignore
