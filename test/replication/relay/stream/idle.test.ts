import t from 'tap'
import { parseLsn } from '../../../../core/lsn.ts'
import { anything, publishNotes, readParts, takeRows, until, withSmallMemory } from './support.ts'

t.test('log that concerns nobody is led over by empty batches, acknowledged like others', async (t) => {
  const primary = await publishNotes(t)
  await primary.db.query('create table private (id int, words text)')
  const stream = await primary.open()
  const before = await primary.slotLsn()
  await primary.db.query(`insert into private select n, repeat('x', 500) from generate_series(1, 5000) n`)
  const batch = await stream.nextBatch(anything)
  if (batch === null) throw new Error('the stream ended')
  const [part] = await readParts(batch)
  t.match(part, { frames: [], header: { transactions: 0, rows: 0, commit: batch.end, isLastPart: true } })
  t.equal(batch.after, before)
  t.ok(parseLsn(batch.end) > parseLsn(before))
  t.equal(await primary.slotLsn(), before, 'not before the cloud has it')
  stream.ackDurable(batch.end)
  await until(async () => (await primary.slotLsn()) === batch.end)
  await primary.db.query('insert into notes values (1)')
  t.same(await takeRows(stream, 1), [1])
})

t.test('not while a batch is not acknowledged, nor while a transaction is arriving', async (t) => {
  const primary = await publishNotes(t)
  await primary.db.query('create table private (id int, words text)')
  const stream = await primary.open()
  await primary.db.query('insert into notes values (1)')
  const held = await stream.nextBatch(anything)
  const noise = (): Promise<unknown> =>
    primary.db.query(`insert into private select n, repeat('x', 500) from generate_series(1, 5000) n`)
  await noise()
  let batch = stream.nextBatch(anything)
  const { rows } = await primary.db.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
  await until(async () => parseLsn(stream.receivedLsn) >= parseLsn(rows[0]?.lsn ?? ''))
  const early = await Promise.race([batch, new Promise((resolve) => setTimeout(resolve, 1_000, 'none'))])
  t.equal(early, 'none', 'a megabyte past it, and still nothing')
  stream.ackDurable(held?.end ?? '')
  const idle = await batch
  t.match(idle, { after: held?.end, oldestCommitAt: null })
  stream.ackDurable(idle?.end ?? '')

  // A transaction that has begun to be streamed holds the position, too.
  await stream.close()
  const streaming = await primary.open({ connectionString: withSmallMemory(primary.url) })
  const session = await primary.session()
  await session.query('begin')
  await session.query(`insert into notes select n, md5(n::text) from generate_series(10, 2000) n`)
  await primary.db.query('select pg_switch_wal()')
  batch = streaming.nextBatch(anything)
  const open = await Promise.race([batch, new Promise((resolve) => setTimeout(resolve, 1_000, 'none'))])
  t.equal(open, 'none')
  await session.query('commit')
  const whole = await batch
  const parts = whole === null ? [] : await readParts(whole)
  t.match(parts[0]?.header, { transactions: 1, rows: 1_991 })
})
