import t from 'tap'
import { formatLsn, parseLsn } from '../../../../core/lsn.ts'
import type { Batch } from '../../../../replication/relay/batch.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { createFollowing, endLsn, insertSources } from './fixture.ts'

t.test(
  'every way of writing rows arrives: COPY, single statements, keys, TOAST, truncate, both formats',
  async (t) => {
    for (const binary of [true, false]) {
      const following = await createFollowing(t)
      const { primary, cloud } = following
      await insertSources(primary, 1, 3000)
      await primary.query(`update sources set title = 'other', url = null where id % 7 = 0`)
      await primary.query(`delete from sources where id % 11 = 0`)
      await primary.query(`update sources set id = id + 100000 where id % 13 = 0`)
      await primary.query(`update sources set visibility = 'private' where id % 5 = 0`)
      await primary.query(`insert into lexicon select n, n from generate_series(1, 10) n`)
      const applied = await following.follow({ binary })
      t.match(applied, {
        kind: 'applied',
        isNew: true,
        resolved: 0,
        quarantined: 0,
        progress: { sequence: '1' },
      })
      t.same(await compareRows(primary, cloud), [])

      await primary.query(`truncate lexicon`)
      await primary.query(`insert into lexicon values (5, 6)`)
      await primary.query(`update sources set visibility = 'public' where id % 5 = 0`)
      await following.follow({ binary })
      t.same(await compareRows(primary, cloud), [], binary ? 'as bytes' : 'as text')
    }
  },
)

t.test('a value that was not sent stays as it is', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 1)
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select 1, 1, 'public', 0, string_agg(md5(n::text), ''), '[]', 'test' from generate_series(1, 500) n`,
  )
  await following.follow()
  await primary.query(`update segments set speaker = 'Ann'`)
  const transactions = await following.take()
  const sizes = transactions.flatMap(({ frames }) => frames.map((frame) => frame.length))
  t.ok(Math.max(...sizes) < 1000, 'the long text is not sent again')
  await following.apply(following.batch(transactions, following.before))
  t.same(await compareRows(primary, cloud), [])
  await primary.query(`update segments set id = 2, speaker = 'Ben'`)
  t.match(await following.follow(), { resolved: 0 })
  t.same(await compareRows(primary, cloud), [], 'nor with another key')
})

t.test('a batch that is there already changes nothing and says so', async (t) => {
  const following = await createFollowing(t)
  await insertSources(following.primary, 1, 20)
  const transactions = await following.take()
  const batch = following.batch(transactions, following.before)
  const first = await following.apply(batch)
  const second = await following.apply(batch)
  t.match(first, { kind: 'applied', isNew: true, rows: 20 })
  t.match(second, { kind: 'applied', isNew: false, rows: 0, progress: { sequence: '1', endLsn: batch.end } })
})

t.test('the end of a batch is applied where the cloud has its beginning', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  for (let id = 1; id <= 5; id += 1) await insertSources(primary, id, id)
  const all = await following.take()
  const { before } = following
  await following.apply(following.batch(all.slice(0, 2), before))
  const applied = await following.apply(following.batch(all, before))
  t.match(applied, { isNew: true, rows: 3 })
  t.same(await compareRows(primary, cloud), [])
})

t.test('an idle batch advances the position', async (t) => {
  const following = await createFollowing(t)
  const { cloud, slot, before } = following
  const end = formatLsn(parseLsn(before) + 0x1000000n)
  const applied = await following.apply(following.batch([], before, { end }))
  t.match(applied, { isNew: true, rows: 0, progress: { endLsn: end, commitLsn: before } })
  t.equal(await endLsn(cloud, slot), end)
})

t.test('one transaction in many parts is one', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 2500)
  const transactions = await following.take()
  const batch = following.batch(transactions, following.before, { framesPerPart: 100 })
  t.match(await following.apply(batch), { isNew: true, rows: 2500 })
  t.same(await compareRows(primary, cloud), [])
})

t.test('a batch that does not fit together is refused and changes nothing', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, slot } = following
  await insertSources(primary, 1, 30)
  const transactions = await following.take()
  const { before } = following
  const whole = following.batch(transactions, before, { framesPerPart: 10 })
  const refused = async (batch: Batch, message: RegExp): Promise<void> => {
    await t.rejects(following.apply(batch), { code: 'BATCH_DAMAGED', message })
    t.equal(await endLsn(cloud, slot), before)
    t.same(await queryRows(following.cloudUrl, 'select from sources'), [])
  }
  await refused(without(whole, 3), /its last part is missing/)
  await refused(without(whole, 1), /part 2 where part 1 belongs/)
  await refused(following.batch(transactions, before, { isLastPart: false }), /last part is missing/)
  const [first] = transactions
  const cut = { ...first!, frames: first!.frames.slice(0, -1) }
  await refused(following.batch([cut], before), /no commit/)
  await refused(following.batch([cut, first!], before), /begins within another/)
  await refused(following.batch([first!, first!], before), /comes after a later one/)
  const headless = { ...first!, frames: first!.frames.slice(1) }
  await refused(following.batch([headless], before), /outside a transaction/)
  await refused(following.batch(transactions, before, { slot: 'another' }), /slot another/)
  await refused(
    following.batch(transactions, before, { end: formatLsn(first!.commitLsn) }),
    /ends after the batch/,
  )
})

t.test('what is not published is not written, whatever a batch says', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, slot } = following
  await primary.query('alter publication homeport add table relay_progress')
  await primary.query(
    `insert into relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn) values ('x', '1', 1, '0/1', '0/1')`,
  )
  await t.rejects(following.follow(), { code: 'TABLE_NOT_PUBLISHED', message: /public\.relay_progress/ })
  t.same((await cloud.query('select slot from relay_progress')).rows, [{ slot }])
})

/** The batch, one part of it lost on the way. */
function without(batch: Batch, lost: number): Batch {
  return {
    ...batch,
    parts: async function* () {
      for await (const part of batch.parts()) if (part.header.part !== lost) yield part
    },
  }
}
