import t from 'tap'
import { publishedTables } from '../../../../core/published-tables.ts'
import { connect } from '../../../../core/db.ts'
import { setupRelay } from '../../../../replication/relay/setup/setup-relay.ts'
import { relayTables } from '../../../../replication/relay/setup/write-roles.ts'
import { describeSteps } from '../../../../replication/step.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { insertTalk } from '../../support.ts'
import { createRelaySetup, log, type RelayUrls } from './support.ts'

/** Everything a setup can touch, with the transaction that last wrote it. */
const catalogue = `
  select 'role' as what, rolname::text as name, xmin::text from pg_authid where rolname = any ($1)
  union all select 'setting', setrole::regrole::text, xmin::text from pg_db_role_setting where setrole::regrole::text = any ($1)
  union all select 'parameter', parname, g.grantee::regrole::text || g.privilege_type
    from pg_parameter_acl cross join lateral aclexplode(paracl) g where g.grantee::regrole::text = any ($1)
  union all select 'database', datname::text, xmin::text from pg_database where datname = current_database()
  union all select 'table', relname::text, xmin::text from pg_class where relnamespace = 'public'::regnamespace
  union all select 'constraint', conname::text, xmin::text from pg_constraint where connamespace = 'public'::regnamespace
  union all select 'schema', nspname::text, xmin::text from pg_namespace
  union all select 'publication', pubname::text, xmin::text from pg_publication
  union all select 'published', prrelid::regclass::text, xmin::text from pg_publication_rel
  union all select 'slot', slot_name::text, confirmed_flush_lsn::text from pg_replication_slots where database = current_database()
  union all select 'progress', slot, xmin::text || ' ' || relay_progress::text from relay_progress
  union all select 'range', table_name || number, xmin::text from relay_ranges
  union all select 'row', id::text, xmin::text || ctid::text from segments
  order by 1, 2, 3`

async function readCatalogues(urls: RelayUrls) {
  const names = Object.values(urls as unknown as Record<string, unknown>)
    .filter((url) => typeof url === 'string')
    .map((url) => new URL(url).username)
    .filter((name) => name !== 'postgres')
  return [
    await queryRows(urls.primaryUrl, catalogue, [names]),
    await queryRows(urls.cloudUrl, catalogue, [names]),
  ]
}

t.test('a dry run prints the SQL without secrets and changes nothing', async (t) => {
  const pair = await createRelaySetup(t, { password: 'hunter2secret' })
  await insertTalk(pair.primary, { id: 1 })
  const before = await readCatalogues(pair)
  const report = await pair.setUp({ dryRun: true })
  const sql = describeSteps(report.steps)
  t.equal(report.changed, true)
  t.match(sql, /create role "relay_\w+" with login .* password 'SCRAM-SHA-256\$\*\*\*\*'/)
  t.match(sql, /grant set on parameter "session_replication_role" to "gateway_/)
  t.match(sql, /create publication "homeport" for table public\.sources where \(visibility = 'public'\)/)
  t.match(sql, /CREATE_REPLICATION_SLOT "homeport_\w+" LOGICAL pgoutput \(SNAPSHOT 'export'\)/)
  t.match(sql, /copy public\."embeddings" \("model_id", .*\) from stdin \(format binary\)/)
  t.notMatch(sql, 'hunter2secret')
  t.strictSame(await readCatalogues(pair), before)
})

t.test('what is there is copied, private rows stay, and a second run changes nothing', async (t) => {
  const pair = await createRelaySetup(t)
  await insertTalk(pair.primary, { id: 1 })
  await insertTalk(pair.primary, { id: 2, visibility: 'private' })
  const report = await pair.setUp()
  t.match(report, {
    changed: true,
    copy: { tables: publishedTables.length, rows: 5 },
    index: { created: true },
  })
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  const progress = await queryRows<{ state: string; end: string; system: string; timeline: number }>(
    pair.cloudUrl,
    'select state, end_lsn::text as end, system_identifier as system, timeline from relay_progress',
  )
  const slots = await queryRows<{ end: string; system: string }>(
    pair.primaryUrl,
    `select confirmed_flush_lsn::text as end, (select system_identifier::text from pg_control_system()) as system
     from pg_replication_slots where slot_name = $1`,
    [report.slot],
  )
  t.strictSame(progress, [{ state: 'following', timeline: 1, ...slots[0] }])

  const before = await readCatalogues(pair)
  const again = await pair.setUp()
  t.match(again, { changed: false, copy: null, index: { created: false } })
  t.strictSame(again.steps, [])
  t.strictSame(await readCatalogues(pair), before)
})

t.test('the write roles write what they need and can do nothing else', async (t) => {
  const pair = await createRelaySetup(t)
  await pair.setUp()
  await pair.cloud.query('create table secrets (id int); create sequence counter')
  for (const [url, mayWriteKeys] of [
    [pair.relayUrl, false],
    [pair.gatewayUrl, true],
  ] as const) {
    const role = await connect({ connectionString: url, applicationName: 'homeport test' })
    t.teardown(() => role.end())
    await role.query('begin; set local session_replication_role = replica')
    for (const table of [...publishedTables.map((one) => one.name), ...relayTables]) {
      await t.resolves(role.query(`select from ${table}`), `select ${table}`)
      await t.resolves(role.query(`delete from ${table}`), `delete ${table}`)
      const [column] = publishedTables.find((one) => one.name === table)?.columns ?? ['slot']
      await t.resolves(role.query(`update ${table} set ${column} = ${column}`), `update ${table}`)
    }
    await t.resolves(role.query('insert into lexicon values (1, 1); truncate lexicon'))
    await t.resolves(
      role.query(
        `insert into sources values (1, 'video', null, 'x', null, null, 0, null, 0, 'public', 'transcript', now(), 7)`,
      ),
    )
    await role.query('rollback')
    const denied = [
      ...(mayWriteKeys ? [] : ['select * from gateway_keys', 'delete from gateway_keys']),
      'select * from secrets',
      'insert into secrets values (1)',
      'select * from ingested_files',
      'truncate ingested_files',
      'select * from homeport_migrations',
      'drop table lexicon',
      'alter table lexicon add column x int',
      'create index on lexicon (documents)',
      'create table mine (id int)',
      'create temporary table mine (id int)',
      'create schema mine',
      `select nextval('counter')`,
      `select nextval('change_seq')`,
      'select lo_create(0)',
      `copy (select 1) to program 'true'`,
      `select pg_read_file('PG_VERSION')`,
      'select rolpassword from pg_authid',
      'set log_statement = none',
      'alter role current_user createdb',
      'set role postgres',
    ]
    for (const sql of denied) await t.rejects(role.query(sql), { code: '42501' }, sql)
    if (mayWriteKeys) {
      await t.resolves(
        role.query(`insert into gateway_keys values ('a', 'b', 'x', '{relay}'); delete from gateway_keys`),
      )
    }
    const shown = await role.query<{ synchronous_commit: string }>('show synchronous_commit')
    t.equal(shown.rows[0]?.synchronous_commit, 'on')
  }
})

t.test('grants that crept in are taken back, and durability that was off is switched on', async (t) => {
  const pair = await createRelaySetup(t)
  await pair.setUp()
  const relay = new URL(pair.relayUrl).username
  const gateway = new URL(pair.gatewayUrl).username
  const database = new URL(pair.cloudUrl).pathname.slice(1)
  await pair.cloud.query(
    `grant select on ingested_files, gateway_keys to ${relay}; grant set on parameter log_statement to ${relay};
     alter role ${relay} set synchronous_commit = off; alter role ${gateway} in database ${database} set synchronous_commit = off`,
  )
  const report = await pair.setUp()
  const told = report.warnings.filter((one) => one.code === 'SYNCHRONOUS_COMMIT_OFF')
  t.match(
    told.map((one) => one.message),
    [new RegExp(`role ${relay} `), new RegExp(`role ${gateway} `)],
  )
  for (const url of [pair.relayUrl, pair.gatewayUrl]) {
    t.strictSame(await queryRows(url, 'show synchronous_commit'), [{ synchronous_commit: 'on' }])
  }
  const { rows } = await pair.cloud.query(
    `select has_table_privilege($1, 'ingested_files', 'select') as a, has_table_privilege($1, 'gateway_keys', 'select') as b,
       has_parameter_privilege($1, 'log_statement', 'set') as c, has_parameter_privilege($1, 'session_replication_role', 'set') as d`,
    [relay],
  )
  t.strictSame(rows, [{ a: false, b: false, c: false, d: true }])
  t.equal((await pair.setUp()).changed, false)
  // Stronger than "on" is the administrator's choice.
  await pair.cloud.query(`alter role ${relay} set synchronous_commit = remote_apply`)
  t.equal((await pair.setUp()).changed, false)
})

t.test('without the gateway there is no role for it', async (t) => {
  const { gatewayUrl, ...pair } = await createRelaySetup(t)
  await setupRelay({ ...pair, way: { kind: 'direct', relayUrl: pair.relayUrl }, log })
  const found = await pair.cloud.query('select from pg_roles where rolname = $1', [
    new URL(gatewayUrl).username,
  ])
  t.equal(found.rowCount, 0)
})

t.test(
  'a table that is published later is copied behind the stream, and the rest is left alone',
  async (t) => {
    const pair = await createRelaySetup(t)
    await insertTalk(pair.primary, { id: 1 })
    const most = publishedTables.filter((table) => table.name !== 'lexicon')
    await pair.setUp({ tables: most })
    await pair.primary.query('insert into lexicon values (7, 3)')
    const report = await pair.setUp()
    t.match(report, { changed: true, copy: { tables: 1, rows: 1 } })
    t.strictSame(await queryRows(pair.cloudUrl, 'select * from lexicon'), [{ term: 7, documents: 3 }])
    const settled = await queryRows(
      pair.cloudUrl,
      `select s.table_name, s.settled_lsn > p.end_lsn as ahead, p.state
     from relay_tables s join relay_progress p on p.slot = s.slot`,
    )
    t.strictSame(settled, [{ table_name: 'lexicon', ahead: true, state: 'following' }])
    t.equal((await pair.setUp()).changed, false)
  },
)

t.test("a changed password is applied, and the relay's record stays", async (t) => {
  const pair = await createRelaySetup(t)
  await pair.setUp()
  const changed = new URL(pair.relayUrl)
  changed.password = 'another'
  const relayUrl = changed.href
  const report = await pair.setUp({ relayUrl, way: { kind: 'direct', relayUrl } })
  t.strictSame(
    report.steps.map((step) => [step.side, step.what]),
    [['cloud', "give the relay's role the password of its URL"]],
  )
  t.equal(report.copy, null)
})
