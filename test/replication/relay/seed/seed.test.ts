import t from 'tap'
import { compareRows } from '../../../support/oracles/equality.ts'
import { createSeedPair, fillTalks } from './support.ts'

t.test('everything that is published is copied in ranges, by several workers, once', async (t) => {
  const pair = await createSeedPair(t)
  await fillTalks(pair.primary, 1, 400)
  const { copy, progress } = await pair.seed()
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  t.match(copy, { tables: 11, tablesCopied: 11, rows: 4 * 360 + 1, secondsLeft: 0 })
  t.ok(copy.ranges > 30, 'about fifty rows each')
  t.match(progress, { slot: pair.slot, state: 'following', sequence: '0' })
  const { rows: slots } = await pair.primary.query<{ lsn: string }>(
    `select confirmed_flush_lsn::text as lsn from pg_replication_slots where database = current_database()`,
  )
  t.strictSame(
    slots,
    [{ lsn: progress.endLsn }],
    'the stream begins where the copy was taken, and nothing else is left',
  )
  const { rows: settled } = await pair.cloud.query('select from relay_tables')
  t.equal(settled.length, 0)
})
