import t from 'tap'
import type pg from 'pg'
import { createPool } from '../../core/db.ts'
import { publishedTables } from '../../core/published-tables.ts'
import type { Side } from '../../replication/finding.ts'
import { planPublication } from '../../replication/publication.ts'
import { diffSchemas } from '../../replication/schema-diff.ts'
import { readSlotName } from '../../replication/slot.ts'
import { createDatabase, createDatabasePair, queryRows } from '../support/databases.ts'
import { ops } from '../ops/commands/support.ts'
import { columnCases } from './schema-diff-cases.ts'
import { ruleCases } from './schema-diff-rule-cases.ts'
import { createReplication } from './support.ts'

const cases = [...columnCases, ...ruleCases]

t.test('each change made by hand is found, and gone after its own statement', async (t) => {
  const pair = await createReplication(t)
  const pools: Record<Side, pg.Pool> = pair
  t.strictSame((await diffSchemas(pair)).differences, [], 'set up, with the search index of the cloud')
  // Nothing may arrive meanwhile: this is about schemas.
  for (const { on, change, code, side, effect, message, fix, more, undo } of cases) {
    await pools[on].query(change)
    const { differences, mode } = await diffSchemas(pair)
    t.equal(mode, 'native')
    if (code === '') {
      t.strictSame(differences, [], 'both have it now')
      continue
    }
    t.same(differences.map((one) => one.code).sort(), [code, ...(more ?? [])].sort(), change)
    const found = differences.find((one) => one.code === code)
    t.match(found, { side, effect, message, fix: { command: fix } }, change)
    // A statement of the next case goes on from here.
    const next = cases[cases.findIndex((one) => one.change === change) + 1]
    if (code === 'TABLE_FOREIGN') {
      await pools.primary.query(found?.fix.command ?? '')
      continue
    }
    if (found !== undefined && found.fix.on !== null) await pools[found.fix.on].query(found.fix.command)
    if (undo !== undefined) await pools[undo[0]].query(undo[1])
    t.strictSame(
      (await diffSchemas(pair)).differences,
      [],
      `after: ${found?.fix.command ?? ''} (then ${next?.code ?? 'the end'})`,
    )
  }
})

t.test('tables and migrations that one side lacks, and a publication that is gone', async (t) => {
  const pair = await createReplication(t)
  const codes = async (): Promise<string[]> =>
    (await diffSchemas(pair)).differences.map(({ code, side }) => `${side} ${code}`)
  await pair.cloud.query('drop table lexicon')
  const [missing] = (await diffSchemas(pair)).differences
  t.match(missing, {
    code: 'TABLE_MISSING',
    side: 'cloud',
    table: 'lexicon',
    effect: 'stopsLater',
    fix: { on: null, command: /^pg_dump --schema-only .*--table public\.lexicon "\$LOCAL_DATABASE_URL"/ },
  })
  await pair.cloud.query('create table lexicon (like collection)')
  t.ok((await codes()).includes('cloud COLUMN_MISSING'))
  await pair.cloud.query('drop table lexicon')
  await pair.cloud.query(`delete from homeport_migrations where name like '006%'`)
  await pair.cloud.query('alter table verifications drop column full_at')
  const { differences } = await diffSchemas(pair)
  t.match(
    differences.filter(({ table, code }) => table === 'verifications' || code === 'MIGRATION_MISSING'),
    [
      { code: 'COLUMN_MISSING', message: /verifications lacks full_at/, fix: { command: 'ops migrate' } },
      { code: 'MIGRATION_MISSING', message: /the cloud lacks the migration 006-/, effect: 'bends' },
    ],
  )
  await pair.cloud.query('alter subscription homeport disable')
  await pair.primary.query('drop publication homeport')
  t.match((await diffSchemas(pair)).differences, [
    { code: 'TABLE_MISSING', effect: 'stopsNow' },
    {},
    { code: 'PUBLICATION_MISSING', effect: 'stopsNow', fix: { command: 'ops setup-replication' } },
  ])
})

t.test('what the setup of a relay takes away is no difference, and a trigger may fire there', async (t) => {
  const { primaryUrl, cloudUrl } = await createDatabasePair(t)
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => cloud.end())
  await queryRows(primaryUrl, 'create publication homeport')
  await setupTables(primaryUrl)
  await cloud.query(
    `insert into relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn, state)
     values ($1, '1', 1, '0/1', '0/1', 'following')`,
    [await readSlotName(cloud)],
  )
  await cloud.query('alter table segments drop constraint segments_source_id_visibility_fkey')
  t.same(await diffSchemas({ primaryUrl, cloudUrl }), {
    mode: 'relay',
    tables: publishedTables.length,
    differences: [],
  })
  await cloud.query(
    'create trigger mine before update on segments for each row execute function bump_change_seq()',
  )
  await cloud.query('alter table segments add constraint later foreign key (id) references segments (id)')
  t.match((await diffSchemas({ primaryUrl, cloudUrl })).differences, [
    { code: 'CONSTRAINT_DIFFERS', effect: 'stopsLater', fix: { command: /drop constraint later/ } },
    { code: 'TRIGGER_DIFFERS', effect: 'bends', fix: { command: 'drop trigger mine on segments' } },
  ])
  await cloud.query(`update relay_progress set state = 'stopped'`)
  t.match((await diffSchemas({ primaryUrl, cloudUrl })).differences[0], { effect: 'stopsNow' })
})

async function setupTables(primaryUrl: string): Promise<void> {
  const state = { allTables: false, allOperations: true, tables: [] }
  for (const { sql } of planPublication('homeport', publishedTables, state)) await queryRows(primaryUrl, sql)
}

t.test('pgvector may live elsewhere, and nothing is expected of a pair that is not set up', async (t) => {
  const { primaryUrl } = await createDatabasePair(t)
  const cloudUrl = await createDatabase(t, 'cloud', { migrate: false })
  await queryRows(cloudUrl, 'create schema extensions')
  await queryRows(cloudUrl, 'create extension vector schema extensions')
  const settings = { LOCAL_DATABASE_URL: primaryUrl, PRODUCTION_DATABASE_URL: cloudUrl }
  t.match(await ops(settings, 'schema', 'diff', '--json'), { exitCode: 3, stdout: /MIGRATION_MISSING/ })
  t.match(await ops(settings, 'migrate'), { exitCode: 0, stdout: /cloud: applied 001-/ })
  t.match(await ops(settings, 'schema', 'diff'), {
    exitCode: 0,
    stdout: `The schemas are the same: ${publishedTables.length} published tables\n`,
  })
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => cloud.end())
  await cloud.query('alter table collection drop column documents')
  const shown = await ops(settings, 'schema', 'diff')
  t.equal(shown.exitCode, 3)
  t.match(
    shown.stdout,
    /✗ collection lacks documents \(integer on the primary\)\n +stops replication at the next write that meets it\n +on the cloud: alter table collection add column documents integer\n\n1 difference; 1 stop/,
  )
  const asJson = JSON.parse((await ops(settings, 'schema', 'diff', '--json')).stdout) as object
  t.match(asJson, { same: false, mode: null, differences: [{ fix: { on: 'cloud' }, effect: 'stopsLater' }] })
  t.match(await ops(settings, 'schema', 'show'), { exitCode: 2, stderr: /show is not diff/ })
  t.match(await ops(settings, 'schema'), { exitCode: 2 })
  const nowhere = { ...settings, PRODUCTION_DATABASE_URL: `${cloudUrl.split('/test_')[0] ?? ''}/nowhere` }
  t.match(await ops(nowhere, 'schema', 'diff'), { exitCode: 1, stderr: /Error: PRODUCTION_DATABASE_URL: / })
})
