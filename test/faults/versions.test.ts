import { join } from 'node:path'
import t, { type Test } from 'tap'
import type pg from 'pg'
import { migrate } from '../../core/migrate.ts'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { migrateBoth } from '../../replication/migrate-both.ts'
import { setupRelay } from '../../replication/relay/setup/setup-relay.ts'
import { setupReplication } from '../../replication/setup.ts'
import { readTableFacts, type ColumnFacts } from '../../replication/table-facts.ts'
import { createRelayUrls, opsSettings, setupOptions } from '../replication/relay/setup/support.ts'
import { createPair, insertTalk } from '../replication/support.ts'
import { temporaryFolder } from '../support/api.ts'
import { compareRows, passFence } from '../support/oracles/equality.ts'
import { startOps } from '../support/ops-process.ts'
import { before, createBare, newerVersion, open } from './migrate-support.ts'

/** The published tables as a database of an older version has them. */
async function tablesOf(db: pg.Pool): Promise<PublishedTable[]> {
  const facts = await readTableFacts(db, publishedTables)
  return publishedTables.flatMap((table) => {
    const has = facts.get(table.name)?.columns.map(({ column }) => column) ?? []
    const [first, ...rest] = table.columns.filter((column) => has.includes(column))
    return first === undefined ? [] : [{ ...table, columns: [first, ...rest] }]
  })
}

/** Every column of our schema, with its type and whether a row needs a value for it. */
async function columnsOf(db: pg.Pool): Promise<Map<string, ColumnFacts>> {
  const { rows } = await db.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
  )
  const tables = rows.map(({ name }) => ({ name, key: ['id'] as const, columns: ['id'] as const }))
  const facts = await readTableFacts(db, tables)
  return new Map(
    [...facts.values()].flatMap(({ table, columns }) =>
      columns.map((one) => [`${table}.${one.column}`, one]),
    ),
  )
}

/** What the older program wrote and read is there as it was, and what it does not know needs nothing from it. */
function staysReadable(
  t: Test,
  old: ReadonlyMap<string, ColumnFacts>,
  now: ReadonlyMap<string, ColumnFacts>,
): void {
  const tables = new Set([...old.keys()].map((name) => name.split('.')[0]))
  for (const [name, column] of old)
    t.match(now.get(name), { type: column.type, required: column.required }, name)
  const more = [...now].filter(([name]) => !old.has(name) && tables.has(name.split('.')[0]))
  t.same(
    more.filter(([, column]) => column.required),
    [],
    'new columns of old tables take no value',
  )
}

// Row 56.
t.test('a backlog of the version before, by subscription', async (t) => {
  const roles = await createPair(t)
  const urls = await createBare(t, before)
  const [primary, cloud] = [open(t, urls.primaryUrl), open(t, urls.cloudUrl)]
  const on = (url: string, role: string): string => {
    const { username, password } = new URL(role)
    const changed = new URL(url)
    Object.assign(changed, { username, password })
    return changed.href
  }
  await setupReplication({
    ...urls,
    readerUrl: on(urls.cloudUrl, roles.readerUrl),
    replicationUrl: on(urls.primaryUrl, roles.replicationUrl),
    tables: await tablesOf(primary),
  })
  const old = await columnsOf(cloud)
  await insertTalk(primary, { id: 1 })
  await waitForCloud({ primary, cloud })
  await cloud.query('alter subscription homeport disable')
  await insertTalk(primary, { id: 2 })
  const settings = { LOCAL_DATABASE_URL: urls.primaryUrl, PRODUCTION_DATABASE_URL: urls.cloudUrl }
  const cut = startOps(t, { args: ['migrate'], settings, failpoint: 'migrate.between-sides:1:kill' })
  t.match(await cut.exited, { signal: 'SIGKILL' })
  await insertTalk(primary, { id: 3 })
  await cloud.query('alter subscription homeport enable')
  await passFence(primary, cloud)
  t.equal((await cloud.query('select from segments')).rowCount, 3, 'an old primary feeds a new cloud')
  await cloud.query('alter subscription homeport disable')
  await insertTalk(primary, { id: 4 })
  const done = startOps(t, { args: ['migrate'], settings })
  t.equal(await done.ends(), 0)
  t.match(done.stderr, /The subscription goes on by itself/)
  await primary.query(`insert into verifications values ('x', 'match', 1, '0/0', now(), now())`)
  await insertTalk(primary, { id: 5 })
  await cloud.query('alter subscription homeport enable')
  await passFence(primary, cloud)
  t.same(await compareRows(primary, cloud), [], 'one log with rows of both shapes')
  staysReadable(t, old, await columnsOf(cloud))
})

t.test('a newer schema, and back to the older program, by relay', async (t) => {
  const urls = await createRelayUrls(t)
  const [primary, cloud] = [open(t, urls.primaryUrl), open(t, urls.cloudUrl)]
  await setupRelay(setupOptions(urls))
  const state = { RELAY_STATE_PATH: join(temporaryFolder(t), 'relay'), RELAY_PORT: '0' }
  const settings = { ...opsSettings(urls), ...state }
  const next = newerVersion(t)
  next.add(
    '900-next.sql',
    `alter table verifications add column seen_at timestamptz;
     alter table relay_progress add column note text not null default 'new';
     create table next_table (id bigint primary key)`,
  )
  const relay = startOps(t, { args: ['relay'], settings })
  await insertTalk(primary, { id: 1 })
  await passFence(primary, cloud)
  t.match(await relay.terminate(), { code: 0 })
  const old = await columnsOf(cloud)
  const progress = async (): Promise<unknown> =>
    (await cloud.query('select slot, end_lsn, commit_lsn, sequence, epoch from relay_progress')).rows
  const had = await progress()
  await insertTalk(primary, { id: 2 })
  await migrate(urls.cloudUrl, { folder: next.folder })
  t.same(await progress(), had, 'how far the cloud is stays where it was')
  await insertTalk(primary, { id: 3 })
  const between = startOps(t, { args: ['relay', '--until-caught-up'], settings })
  t.equal(await between.ends(), 0)
  t.equal((await cloud.query('select from segments')).rowCount, 3, 'the backlog, into a newer cloud')

  const running = startOps(t, { args: ['relay'], settings })
  await insertTalk(primary, { id: 4 })
  t.match(await migrateBoth({ ...urls, folder: next.folder }), { cloud: [], primary: ['900-next.sql'] })
  await primary.query(`insert into verifications (table_name, verdict, row_count, lsn, checked_at, seen_at)
    values ('x', 'match', 1, '0/0', now(), '2026-01-01')`)
  await insertTalk(primary, { id: 5 })
  await passFence(primary, cloud)
  const seen = await cloud.query(
    `select seen_at::date::text as day from verifications where table_name = 'x'`,
  )
  t.same(seen.rows, [{ day: '2026-01-01' }], 'a column of the newer version travels under a relay that runs')
  t.match(await running.terminate(), { code: 0 })

  await insertTalk(primary, { id: 6 })
  const back = startOps(t, { args: ['migrate'], settings })
  t.equal(await back.ends(), 0, 'the older program has nothing to do')
  t.match(back.stderr, /900-next\.sql of a newer Homeport/)
  const again = startOps(t, { args: ['relay', '--until-caught-up'], settings })
  t.equal(await again.ends(), 0, 'and its relay goes on')
  t.same(await compareRows(primary, cloud), [])
  staysReadable(t, old, await columnsOf(cloud))
})
