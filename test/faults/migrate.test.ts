import t from 'tap'
import { listMigrations, migrate, migrationState } from '../../core/migrate.ts'
import { migrateBoth } from '../../replication/migrate-both.ts'
import { diffSchemas } from '../../replication/schema-diff.ts'
import { createReplication, insertTalk } from '../replication/support.ts'
import { createDatabase, queryRows } from '../support/databases.ts'
import { compareRows, passFence } from '../support/oracles/equality.ts'
import { startOps } from '../support/ops-process.ts'
import { added, before, createBare, newerVersion, open } from './migrate-support.ts'

// Row 55.
t.test('killed midway, twice, and run by two at once', async (t) => {
  const urls = await createBare(t)
  const settings = { LOCAL_DATABASE_URL: urls.primaryUrl, PRODUCTION_DATABASE_URL: urls.cloudUrl }
  const killed = async (failpoint: string): Promise<void> => {
    const run = startOps(t, { args: ['migrate'], settings, failpoint })
    t.match(await run.exited, { signal: 'SIGKILL' }, failpoint)
  }
  await killed('migrate.inside:3:kill')
  t.same((await migrationState(urls.cloudUrl)).applied, [], 'none of it is there')
  t.same((await migrationState(urls.primaryUrl)).applied, [])
  await killed('migrate.between-sides:1:kill')
  t.same((await migrationState(urls.cloudUrl)).missing, [])
  t.same((await migrationState(urls.primaryUrl)).applied, [])
  const codes = (await diffSchemas(urls)).differences.map(({ code, side }) => `${side} ${code}`)
  t.ok(codes.includes('primary MIGRATION_MISSING'), 'what is left is shown')
  await killed('migrate.inside:2:kill')
  const both = [1, 2].map(() => startOps(t, { args: ['migrate', '--json'], settings }))
  t.same(await Promise.all(both.map((run) => run.ends())), [0, 0], 'neither fails')
  const applied = both.map((run) => (JSON.parse(run.stdout) as { primary: string[] }).primary)
  t.same(applied.flat(), listMigrations(), 'each migration was applied once')
  const locks = `select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
  for (const url of [urls.primaryUrl, urls.cloudUrl])
    t.same(await queryRows(url, locks), [], 'no lock is left')
  t.same((await diffSchemas(urls)).differences, [])
})

t.test('a change made by hand is named before anything is changed', async (t) => {
  const urls = await createBare(t, before)
  const settings = { LOCAL_DATABASE_URL: urls.primaryUrl, PRODUCTION_DATABASE_URL: urls.cloudUrl }
  await queryRows(urls.primaryUrl, 'alter table verifications add column full_at text')
  const refused = startOps(t, { args: ['migrate', '--json'], settings })
  t.equal(await refused.ends(), 2)
  t.match(refused.stderr, /"MIGRATION_COLLIDES".*primary, which has verifications\.full_at \(text\) already/)
  t.match(refused.stderr, /on the primary: alter table verifications drop column full_at/)
  t.same((await migrationState(urls.cloudUrl)).missing, added, 'nothing was applied on the other side')
  await queryRows(urls.primaryUrl, 'alter table verifications drop column full_at')
  await queryRows(urls.cloudUrl, 'create table repair_journal (id int)')
  await t.rejects(migrateBoth(urls), {
    code: 'MIGRATION_COLLIDES',
    exitCode: 2,
    message: /on the cloud, which has repair_journal already/,
    hint: /^on the cloud: alter table repair_journal rename to repair_journal_old/,
  })
  await queryRows(urls.cloudUrl, 'drop table repair_journal')
  const primary = open(t, urls.primaryUrl)
  const writer = await primary.connect()
  await writer.query('begin; lock table verifications in row exclusive mode')
  await t.rejects(migrateBoth({ ...urls, lockTimeoutMs: 300 }), {
    code: 'MIGRATION_BLOCKED',
    message: /in use on the primary by homeport test \(backend \d+, open for \d+ s\)/,
    hint: /pg_terminate_backend/,
  })
  await writer.query('rollback')
  writer.release()
  t.match(await migrateBoth(urls), { cloud: added, primary: added })
  await primary.query('alter table segments add column note text')
  const warnings = async (): Promise<object[]> =>
    (await migrateBoth(urls)).warnings.filter(({ code }) => !code.startsWith('PGVECTOR'))
  const unknown = { code: 'COLUMN_UNKNOWN', fix: 'on the cloud: alter table segments add column note text' }
  t.match(await warnings(), [unknown], 'what no migration brings')
  await queryRows(
    urls.cloudUrl,
    `insert into homeport_migrations (name, batch, migration_time) values ('999-z.sql', 9, now())`,
  )
  t.match(await warnings(), [{ code: 'MIGRATION_UNKNOWN', side: 'cloud' }, unknown], 'of a newer program')
})

t.test('somebody is in the way when it is carried out', async (t) => {
  const { primaryUrl } = await createBare(t, before)
  const primary = open(t, primaryUrl)
  const reader = await primary.connect()
  await t.test('a long query: it does not keep everybody else waiting behind it for ever', async (t) => {
    await reader.query('begin; select from verifications')
    await t.rejects(migrate(primaryUrl, { lockTimeoutMs: 300 }), {
      code: 'MIGRATION_BLOCKED',
      message: /006-proof-and-repair\.sql alters is in use in .* by homeport test \(backend \d+/,
    })
    await reader.query('rollback')
    t.same((await migrationState(primaryUrl)).missing, added, 'nothing of it is there')
  })

  await t.test('another ops migrate', async (t) => {
    await reader.query(`begin; select pg_advisory_xact_lock(hashtext('homeport migrate'))`)
    const notes: string[] = []
    const waiting = migrate(primaryUrl, { migrationWaitMs: 300, onNote: (text) => notes.push(text) })
    await t.rejects(waiting, {
      code: 'MIGRATION_RUNS',
      message: /at work in .*: homeport .* \(backend \d+, /,
      hint: /pg_terminate_backend\(\d+\)/,
    })
    t.match(notes, [/^waiting: another ops migrate is at work/], 'said at once, and once')
    await t.rejects(
      migrateBoth({ primaryUrl, cloudUrl: await createDatabase(t, 'cloud'), migrationWaitMs: 300 }),
      { code: 'MIGRATION_RUNS' },
    )
    await reader.query('rollback')
  })
  reader.release()

  await t.test('a row that does not fit: the file, and what the server says', async (t) => {
    const { folder, add } = newerVersion(t)
    add('900-check.sql', '-- Why?\nalter table lexicon add constraint more check (documents > 5);\n')
    const cloudUrl = await createDatabase(t, 'cloud')
    await primary.query('insert into lexicon values (1, 1)')
    await t.rejects(migrateBoth({ primaryUrl, cloudUrl, folder }), {
      code: 'MIGRATION_FAILED',
      message: /^900-check\.sql failed in .*: check constraint "more" of relation "lexicon" is violated/,
    })
    await t.rejects(migrate(primaryUrl, { folder }), {
      code: 'MIGRATION_FAILED',
      message: /^900-check\.sql failed in .*: check constraint "more"/,
    })
    t.same((await migrationState(primaryUrl)).missing, added, 'all of it was rolled back')
  })

  await t.test('somebody has migrated the primary alone: the cloud follows', async (t) => {
    const cloudUrl = await createDatabase(t, 'cloud', { migrate: false })
    await migrate(cloudUrl, { until: before })
    await migrate(primaryUrl)
    t.match(await migrateBoth({ primaryUrl, cloudUrl }), { cloud: added, primary: [] })
    t.same((await diffSchemas({ primaryUrl, cloudUrl })).differences, [])
  })
})

t.test('what takes away goes to the primary first, and to the cloud when it has caught up', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  const { folder, add } = newerVersion(t)
  add('100-mood.sql', 'alter table sources add column mood text')
  const order: string[] = []
  const onStep = ({
    side,
    names,
    fence,
  }: {
    side: string
    names: readonly string[]
    fence: boolean
  }): void => {
    order.push(`${fence ? 'fence, ' : ''}${side} ${names.join()}`)
  }
  await migrateBoth({ ...pair, folder, onStep })
  t.same(order.splice(0), ['cloud 100-mood.sql', 'primary 100-mood.sql'])
  await insertTalk(primary, { id: 1 })
  await primary.query(`update sources set mood = 'fine'`)
  await passFence(primary, cloud)

  add('101-drop.sql', 'alter table sources drop column mood')
  await t.rejects(migrateBoth({ ...pair, folder }), {
    code: 'MIGRATION_WOULD_STOP',
    exitCode: 2,
    message:
      /101-drop\.sql on the cloud would stop replication: sources\.mood \(text\) exists on the primary only/,
    hint: /\.contract\.sql/,
  })
  t.same((await cloud.query('select mood from sources')).rows, [{ mood: 'fine' }], 'nothing was changed')

  add('101-drop.sql', 'select 1')
  add('102-drop.contract.sql', 'alter table sources drop column mood')
  add('103-tone.sql', 'alter table sources add column tone text')
  await cloud.query('alter subscription homeport disable')
  await primary.query(`update sources set mood = 'old shape'`)
  await t.rejects(migrateBoth({ ...pair, folder, onStep, fenceTimeoutMs: 500 }), {
    code: 'CLOUD_BEHIND',
    message: /102-drop\.contract\.sql waits for the cloud.*switched off/,
    hint: /ops migrate again/,
  })
  t.same(order.splice(0), [
    'cloud 101-drop.sql',
    'primary 101-drop.sql',
    'primary 102-drop.contract.sql',
    'fence, cloud 102-drop.contract.sql',
  ])
  await cloud.query('alter subscription homeport enable')
  await migrateBoth({ ...pair, folder, onStep })
  t.same(order.splice(0), [
    'fence, cloud 102-drop.contract.sql',
    'cloud 103-tone.sql',
    'primary 103-tone.sql',
  ])
  await primary.query(`update sources set tone = 'new shape'`)
  await passFence(primary, cloud)
  t.same(await compareRows(primary, cloud), [])
  t.same((await cloud.query('select tone from sources')).rows, [{ tone: 'new shape' }])
  t.same(
    (await diffSchemas(pair)).differences.map(({ code }) => code),
    ['MIGRATION_UNKNOWN', 'MIGRATION_UNKNOWN'],
  )
  await primary.query('alter publication homeport drop table lexicon')
  const { mode, warnings } = await migrateBoth({ ...pair, folder })
  t.equal(mode, 'native')
  t.match(
    warnings.filter(({ code }) => !code.startsWith('PGVECTOR')),
    [{ code: 'TABLE_NOT_SENT', fix: 'ops setup-replication' }],
    'no migration publishes a table',
  )
})
