import t from 'tap'
import { compareRows, passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { isFull, stopsWith } from './support.ts'

// Rows 53 and 54: the primary's schema changes under a relay that runs, or before it starts. Each is undone
// by giving the cloud the same change, as the message says.
const changes: { what: string; change: string; cloudToo: string; message: RegExp; write: string }[] = [
  {
    what: 'a new column at home only',
    change: 'alter table sources add column note text',
    cloudToo: 'alter table sources add column note text',
    message: /sources.*note/s,
    write: `update sources set note = 'new', views = coalesce(views, 0) + 1`,
  },
  {
    what: 'another type',
    change: 'alter table collection alter column documents type bigint',
    cloudToo: 'alter table collection alter column documents type bigint',
    message: /collection.*documents.*bigint/s,
    write: 'update collection set documents = 5000000000',
  },
  {
    what: 'another name',
    change: 'alter table sources rename column note to remark',
    cloudToo: 'alter table sources rename column note to remark',
    message: /sources.*remark/s,
    write: `update sources set remark = 'newer', views = coalesce(views, 0) + 1`,
  },
]

t.test('a schema that no longer fits stops the relay with the difference', async (t) => {
  const pair = await createRelayPair(t, {
    prepare: async (primary) => {
      await primary.query(`insert into collection (documents, average_length) values (1, 1)`)
      await primary.query(`insert into sources (id, kind, title, visibility, transcript_method, processed_at)
        select n, 'video', 'a talk', 'public', 'transcript', now() from generate_series(1, 5) as n`)
    },
  })
  const { primary, cloud } = pair
  const watch = await watchPair(t, pair)
  for (const { what, change, cloudToo, message, write } of isFull ? changes : changes.slice(0, 1)) {
    await t.test(`${what}, under way`, async (t) => {
      const relay = startRelay(t, pair, { args: ['--json'] })
      await watch.write({ seed: 1, operations: 15 })
      // What was written in the old shape is applied to the old shape.
      await passFence(primary, cloud)
      await primary.query(change)
      await primary.query(write)
      await stopsWith(t, pair, relay, { code: 'SCHEMA_MISMATCH', message })
      const again = startRelay(t, pair, { args: ['--json'] })
      await stopsWith(t, pair, again, { code: 'SCHEMA_MISMATCH', message })
      await cloud.query(cloudToo)
      const healed = startRelay(t, pair)
      await watch.judge(t, `${what}, in the cloud too`)
      t.match(await healed.terminate(), { code: 0 })
    })
  }

  await t.test(
    'before it starts: what was written in the old shape is applied first, and no row is lost',
    async (t) => {
      await primary.query('insert into tombstones (segment_id) select generate_series(9001, 9200)')
      await primary.query('update collection set documents = 7')
      await primary.query('alter table collection alter documents type numeric')
      const relay = startRelay(t, pair, { args: ['--json'] })
      await stopsWith(t, pair, relay, { code: 'SCHEMA_MISMATCH', message: /collection.*documents.*numeric/s })
      t.match(relay.stderr, /going on until it does not/)
      const { rows } = await cloud.query(`select documents::int as documents,
      (select count(*)::int from tombstones where segment_id between 9001 and 9200) as added from collection`)
      t.same(rows, [{ documents: 7, added: 200 }], 'all of it came across')
      const ending = startRelay(t, pair, { args: ['--json', '--until-caught-up'] })
      await stopsWith(t, pair, ending, { code: 'SCHEMA_MISMATCH', message: /numeric/ })
      await cloud.query('alter table collection alter documents type numeric')
      const healed = startRelay(t, pair)
      await watch.judge(t, 'altered in the cloud too')
      t.match(await healed.terminate(), { code: 0 })
    },
  )

  await t.test('the cloud first: nothing stops', async (t) => {
    const relay = startRelay(t, pair)
    await watch.write({ seed: 2, operations: 10 })
    await passFence(primary, cloud)
    await cloud.query('alter table sources add column mood text')
    await primary.query('alter table sources add column mood text')
    await primary.query(`update sources set mood = 'fine'`)
    await watch.judge(t, 'expanded')
    await primary.query('alter table sources drop column mood')
    await watch.write({ seed: 3, operations: 10 })
    await passFence(primary, cloud)
    await cloud.query('alter table sources drop column mood')
    await watch.write({ seed: 4, operations: 10 })
    await passFence(primary, cloud)
    t.same(await compareRows(primary, cloud), [], 'contracted')
    t.match(await relay.terminate(), { code: 0 })
  })

  if (!isFull) return
  await t.test('a column of the cloud that needs a value', async (t) => {
    await cloud.query('alter table lexicon add column weight real not null default 1')
    await cloud.query('alter table lexicon alter column weight drop default')
    const relay = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, relay, { code: 'SCHEMA_MISMATCH', message: /lexicon.*weight/s })
  })
})
