import t, { type Test } from 'tap'
import type pg from 'pg'
import { publishedTables } from '../../core/published-tables.ts'
import { connect, createPool } from '../../core/db.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { setupReplication } from '../../replication/setup.ts'
import { describeSteps } from '../../replication/step.ts'
import { queryRows } from '../support/databases.ts'
import { createPair, createReplication, insertTalk, segmentIds, withRole } from './support.ts'

/** Everything setup can touch, with the transaction that last wrote it. */
const catalogue = `
  select 'role' as what, rolname::text as name, xmin::text from pg_authid where rolname = any ($1)
  union all select 'setting', setrole::regrole::text, xmin::text from pg_db_role_setting where setrole::regrole::text = any ($1)
  union all select 'database', datname::text, xmin::text from pg_database where datname = current_database()
  union all select 'table', relname::text, xmin::text from pg_class where relnamespace = 'public'::regnamespace
  union all select 'schema', nspname::text, xmin::text from pg_namespace
  union all select 'function', oid::text, xmin::text from pg_proc where proname like 'lo%'
  union all select 'publication', pubname::text, xmin::text from pg_publication
  union all select 'published', prrelid::regclass::text, xmin::text from pg_publication_rel
  union all select 'subscription', subname::text, xmin::text from pg_subscription
    where subdbid = (select oid from pg_database where datname = current_database())
  union all select 'subscribed', srrelid::regclass::text, srsubstate::text from pg_subscription_rel
  union all select 'slot', slot_name::text, '' from pg_replication_slots where database = current_database()
  order by 1, 2`

async function readCatalogues(urls: {
  primaryUrl: string
  cloudUrl: string
  readerUrl: string
  replicationUrl: string
}) {
  const roles = [[new URL(urls.readerUrl).username, new URL(urls.replicationUrl).username]]
  return [
    await queryRows(urls.primaryUrl, catalogue, roles),
    await queryRows(urls.cloudUrl, catalogue, roles),
  ]
}

t.test('a dry run prints the SQL without secrets and changes nothing', async (t) => {
  const pair = await createPair(t, 'hunter2secret')
  const before = await readCatalogues(pair)
  const report = await setupReplication({ ...pair, dryRun: true })
  const sql = describeSteps(report.steps)
  t.equal(report.changed, true)
  t.match(sql, /create role .* with login replication password 'SCRAM-SHA-256\$\*\*\*\*'/)
  t.match(sql, /create publication "homeport" for table public\.sources where \(visibility = 'public'\)/)
  t.match(sql, /create subscription "homeport" connection '.*password=\*\*\*\*'/)
  t.notMatch(sql, 'hunter2secret')
  t.strictSame(await readCatalogues(pair), before)
})

t.test('a second run changes nothing and says so', async (t) => {
  const pair = await createReplication(t)
  t.equal(pair.report.changed, true)
  t.equal(pair.report.copy?.tablesReady, publishedTables.length)
  const before = await readCatalogues(pair)
  const again = await setupReplication(pair)
  t.equal(again.changed, false)
  t.strictSame(again.steps, [])
  t.strictSame(await readCatalogues(pair), before)
})

t.test('what was there is copied, what comes later follows, and private rows stay at home', async (t) => {
  const pair = await createPair(t)
  const home = connectedPool(t, pair.primaryUrl)
  await insertTalk(home, { id: 1 })
  await insertTalk(home, { id: 2, visibility: 'private' })
  const report = await setupReplication(pair)
  t.equal(report.index?.created, true, 'the active model is indexed')
  t.equal(report.copy?.rows, 5, 'source, segment, terms, model, vector')
  const cloud = connectedPool(t, pair.cloudUrl)
  t.strictSame(await segmentIds(cloud), ['1'])

  const long = Array.from({ length: 4000 }, (_, place) => (place * 7919).toString(36)).join(' ')
  await insertTalk(home, { id: 3, text: long })
  await insertTalk(home, { id: 4, visibility: 'private' })
  await insertTalk(home, { id: 5, visibility: 'unlisted' })
  const { lagSeconds } = await waitForCloud({ primary: home, cloud })
  t.ok(lagSeconds >= 0)
  t.strictSame(await segmentIds(cloud), ['1', '3'])
  t.strictSame(await count(cloud, 'sources'), '2')
  t.strictSame(await count(cloud, 'embeddings'), '2')
  t.strictSame(await count(cloud, 'segment_terms'), '2')

  // The long text lies outside its row: an update of another column does not send it again.
  await home.query(`update segments set chapter = 'renamed' where id = 3`)
  await waitForCloud({ primary: home, cloud })
  const { rows } = await cloud.query<{ text: string; chapter: string }>(
    'select text, chapter from segments where id = 3',
  )
  t.strictSame(rows, [{ text: long, chapter: 'renamed' }])

  await home.query('delete from sources where id in (1, 2)')
  await insertTalk(home, { id: 1, visibility: 'private' })
  await insertTalk(home, { id: 2, visibility: 'public' })
  await waitForCloud({ primary: home, cloud })
  t.strictSame(await segmentIds(cloud), ['2', '3'])
})

t.test('the read-only role reads what is published and can do nothing else', async (t) => {
  const pair = await createReplication(t)
  await pair.cloud.query('create table secrets (id int)')
  const reader = await connect({ connectionString: pair.readerUrl, applicationName: 'homeport test' })
  t.teardown(() => reader.end())
  for (const table of publishedTables)
    await t.resolves(reader.query(`select * from ${table.name}`), table.name)
  await reader.query('set default_transaction_read_only = off')
  const denied = [
    `insert into lexicon values (1, 1)`,
    `update sources set title = 'x'`,
    `delete from tombstones`,
    `truncate sources`,
    `select * from secrets`,
    `select * from ingested_files`,
    `create table mine (id int)`,
    `create temporary table mine (id int)`,
    `create schema mine`,
    `select lo_create(0)`,
    `select lo_from_bytea(0, 'x')`,
    `copy (select 1) to program 'true'`,
    `select pg_read_file('PG_VERSION')`,
    `select rolpassword from pg_authid`,
    `select nextval('change_seq')`,
    `set role postgres`,
  ]
  for (const sql of denied) await t.rejects(reader.query(sql), { code: '42501' }, sql)
})

t.test('the replication role reads published tables only', async (t) => {
  const pair = await createReplication(t)
  const replicator = await connect({
    connectionString: pair.replicationUrl,
    applicationName: 'homeport test',
  })
  t.teardown(() => replicator.end())
  await t.resolves(replicator.query('select * from sources'))
  await t.rejects(replicator.query('select * from ingested_files'), { code: '42501' })
  await t.rejects(replicator.query('delete from sources'), { code: '42501' })
})

t.test('grants that crept in are taken back', async (t) => {
  const pair = await createReplication(t)
  const reader = new URL(pair.readerUrl).username
  await pair.cloud.query(`grant insert on sources to ${reader}; grant select on ingested_files to ${reader}`)
  const report = await setupReplication(pair)
  t.match(describeSteps(report.steps), /revoke insert on table "public"\."sources"/)
  const { rows } = await pair.cloud.query(
    `select has_table_privilege($1, 'sources', 'insert') as a, has_table_privilege($1, 'ingested_files', 'select') as b`,
    [reader],
  )
  t.strictSame(rows, [{ a: false, b: false }])
  t.equal((await setupReplication(pair)).changed, false)
})

t.test('a changed password is applied on both sides, and replication goes on', async (t) => {
  const pair = await createReplication(t)
  const role = new URL(pair.replicationUrl).username
  const changed = { ...pair, replicationUrl: withRole(pair.primaryUrl, role, 'another one') }
  const report = await setupReplication(changed)
  t.strictSame(
    report.steps.map((step) => [step.side, step.what]),
    [
      ['primary', 'give the replication role the password of its URL'],
      ['cloud', 'change the connection to the one in REPLICATION_DATABASE_URL'],
    ],
  )
  await insertTalk(pair.primary, { id: 1 })
  await waitForCloud(pair)
  t.strictSame(await segmentIds(pair.cloud), ['1'])
})

t.test('a table that is published later is added and copied', async (t) => {
  const most = publishedTables.filter((table) => table.name !== 'lexicon')
  const pair = await createReplication(t, { tables: most })
  await pair.primary.query('insert into lexicon values (7, 3)')
  await waitForCloud(pair)
  t.equal(await count(pair.cloud, 'lexicon'), '0')
  const report = await setupReplication(pair)
  t.equal(report.changed, true)
  t.equal(await count(pair.cloud, 'lexicon'), '1')
  t.equal((await setupReplication(pair)).changed, false)
})

async function count(db: pg.Pool, table: string): Promise<string> {
  const { rows } = await db.query<{ count: string }>(`select count(*) from ${table}`)
  return rows[0]?.count ?? ''
}

function connectedPool(t: Test, url: string): pg.Pool {
  const pool = createPool({ connectionString: url, applicationName: 'homeport test' })
  t.teardown(() => pool.end())
  return pool
}
