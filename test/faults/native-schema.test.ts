import t from 'tap'
import type pg from 'pg'
import { describeFix } from '../../replication/schema-difference.ts'
import { diffSchemas } from '../../replication/schema-diff.ts'
import { ops } from '../ops/commands/support.ts'
import { createReplication, insertTalk } from '../replication/support.ts'
import { until } from '../support/api.ts'
import { compareRows, passFence } from '../support/oracles/equality.ts'

interface Change {
  what: string
  home?: string
  cloud?: string
  /** what meets it; the subscription cannot apply it */
  write: string
  code: string
  /** what the rows of this question are on both sides in the end */
  read: string
}

// Rows 53 and 54 for a subscription, which knows neither our list nor our words. Each is undone by the statement that
// ops schema diff gives.
const changes: readonly Change[] = [
  {
    what: 'a column at home only',
    home: `alter table sources add column note text default 'x'`,
    write: `update sources set note = 'new', views = 1`,
    code: 'COLUMN_UNKNOWN',
    read: 'select id, note from sources order by id',
  },
  {
    what: 'another type at home',
    home: 'alter table collection alter column documents type bigint',
    write: 'update collection set documents = 5000000000',
    code: 'TYPE_DIFFERS',
    read: 'select documents from collection',
  },
  {
    what: 'another name at home',
    home: 'alter table sources rename column note to remark',
    write: `update sources set remark = 'newer', views = 2`,
    code: 'COLUMN_RENAMED',
    read: 'select id, remark from sources order by id',
  },
  {
    what: 'a column dropped in the cloud',
    cloud: 'alter table sources drop column channel',
    write: `insert into sources (id, kind, title, channel, visibility, transcript_method, processed_at)
      values (9, 'video', 'x', 'c', 'public', 'transcript', now())`,
    code: 'COLUMN_MISSING',
    read: 'select id, channel from sources where id = 9',
  },
  {
    what: 'a value that the cloud wants and nobody sends',
    cloud:
      'alter table lexicon add column weight real not null default 1; alter table lexicon alter weight drop default',
    write: 'insert into lexicon values (8, 8)',
    code: 'COLUMN_UNKNOWN',
    read: 'select term, documents from lexicon order by term',
  },
]

t.test('what a subscription stops at is named, and goes on with the statement', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  await primary.query('insert into collection (documents, average_length) values (1, 1)')
  await primary.query('insert into lexicon values (7, 7)')
  await insertTalk(primary, { id: 1 })
  await passFence(primary, cloud)
  for (const { what, home, cloud: inCloud, write, code, read } of changes) {
    const before = await applyErrors(cloud)
    if (home !== undefined) await primary.query(home)
    if (inCloud !== undefined) await cloud.query(inCloud)
    await primary.query(write)
    await until(
      () => applyErrors(cloud),
      (count) => count > before,
      60_000,
    )
    const differences = [...(await diffSchemas(pair)).differences]
    const found = differences.find((one) => one.code === code)
    t.ok(found, `${what}: ${differences.map((one) => `${one.code} ${one.message}`).join('; ')}`)
    if (found === undefined) return
    t.match(found.effect, /^stops/, `${what}: ${describeFix(found.fix)}`)
    if (found.fix.on !== null) await pair[found.fix.on].query(found.fix.command)
    await passFence(primary, cloud)
    t.same(
      (await cloud.query(read)).rows,
      (await primary.query(read)).rows,
      `${what}: nothing in a wrong column`,
    )
    t.same(await compareRows(primary, cloud), [], what)
  }
})

t.test(
  'another primary key at home: it is named, nothing is written wrongly, and there is a way out',
  async (t) => {
    const pair = await createReplication(t)
    const { primary, cloud } = pair
    await primary.query('insert into lexicon values (7, 7), (8, 8)')
    await passFence(primary, cloud)
    const swap = 'alter table lexicon drop constraint lexicon_pkey, add primary key (documents)'
    await primary.query(swap)
    await primary.query('update lexicon set documents = 70 where term = 7')
    await until(
      () => applyErrors(cloud),
      (count) => count > 0,
      60_000,
    )
    const [found] = (await diffSchemas(pair)).differences
    t.match(found, {
      code: 'PRIMARY_KEY_DIFFERS',
      side: 'primary',
      fix: {
        on: 'primary',
        command: 'alter table lexicon drop constraint lexicon_pkey, add primary key (term)',
      },
    })
    const rows = 'select term, documents from lexicon order by term'
    t.same((await cloud.query(rows)).rows, [
      { term: 7, documents: 7 },
      { term: 8, documents: 8 },
    ])
    await primary.query(found?.fix.command ?? '')
    // What was written under the other key is in the log with it: the cloud takes it under the same one.
    await cloud.query(swap)
    await passFence(primary, cloud)
    const [left] = (await diffSchemas(pair)).differences
    t.match(left, { code: 'PRIMARY_KEY_DIFFERS', side: 'cloud' })
    await cloud.query(left?.fix.command ?? '')
    await primary.query('update lexicon set documents = 80 where term = 8')
    await passFence(primary, cloud)
    t.same((await diffSchemas(pair)).differences, [])
    t.same(await compareRows(primary, cloud), [])
  },
)

t.test('the cloud first: nothing stops', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  await cloud.query('alter table sources add column mood text')
  t.match((await diffSchemas(pair)).differences, [
    { code: 'COLUMN_UNKNOWN', side: 'cloud', effect: 'harmless' },
  ])
  await primary.query('alter table sources add column mood text')
  await insertTalk(primary, { id: 1 })
  await primary.query(`update sources set mood = 'fine'`)
  await passFence(primary, cloud)
  t.same((await cloud.query('select mood from sources')).rows, [{ mood: 'fine' }])
  t.equal(await applyErrors(cloud), 0)
  const settings = { LOCAL_DATABASE_URL: pair.primaryUrl, PRODUCTION_DATABASE_URL: pair.cloudUrl }
  t.match((await ops(settings, 'status', '--json')).stdout, /COLUMN_UNPROVEN/)
})

async function applyErrors(cloud: pg.Pool): Promise<number> {
  const { rows } = await cloud.query<{ count: number }>(
    'select apply_error_count::int as count from pg_stat_subscription_stats where subname = $1 and subid = (select oid from pg_subscription where subdbid = (select oid from pg_database where datname = current_database()))',
    ['homeport'],
  )
  return rows[0]?.count ?? 0
}
