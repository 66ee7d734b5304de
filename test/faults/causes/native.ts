import type { Test } from 'tap'
import type pg from 'pg'
import { readSlotName } from '../../../replication/slot.ts'
import { createReplication, insertTalk, plant } from '../../replication/support.ts'
import { until } from '../../support/api.ts'
import { passFence } from '../../support/oracles/equality.ts'
import { ops } from '../../ops/commands/support.ts'
import type { Cause } from './support.ts'

/** What goes wrong under a subscription: settings of it, changes by hand, content. */
export async function nativeCauses(t: Test): Promise<Cause[]> {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    DATABASE_URL: pair.readerUrl,
    REPLICATION_DATABASE_URL: pair.replicationUrl,
    RELAY_DATABASE_URL: pair.readerUrl.replace('reader_', 'relay_'),
  }
  await insertTalk(primary, { id: 1 })
  await passFence(primary, cloud)
  await ops(settings, 'index')
  const status = { words: ['status'], settings }
  const monitor = { words: ['monitor', '--once'], settings }
  const diff = { words: ['schema', 'diff'], settings }
  const atHome = (sql: string) => () => primary.query(sql)
  const inCloud = (sql: string) => () => cloud.query(sql)
  const name = await readSlotName(cloud)
  const role = new URL(pair.replicationUrl).username
  const setUpAgain = async (): Promise<void> => {
    const { exitCode, stderr } = await ops(settings, 'setup-replication')
    t.equal(exitCode, 0, `what is said works: ${stderr}`)
  }
  return [
    {
      name: 'a column added at home only',
      make: atHome('alter table segments add column note text'),
      run: status,
      code: 'COLUMN_UNKNOWN',
      message: /segments\.note \(text\) exists on the primary only/,
      fix: /^on the cloud: alter table segments add column note text$/,
      exitCode: 0,
      undo: atHome('alter table segments drop column note'),
    },
    {
      name: 'a column dropped in the cloud',
      make: inCloud('alter table segments drop column chapter'),
      run: status,
      code: 'COLUMN_MISSING',
      message: /segments lacks chapter/,
      fix: /on the cloud: alter table segments add column chapter text/,
      undo: inCloud('alter table segments add column chapter text'),
    },
    {
      name: 'another type on one side',
      make: atHome('alter table collection alter column documents type bigint'),
      run: monitor,
      code: 'TYPE_DIFFERS',
      message: /collection\.documents is integer in the cloud and bigint on the primary/,
      fix: /on the cloud: alter table collection alter column documents type bigint/,
      exitCode: 3,
      undo: atHome('alter table collection alter column documents type integer'),
    },
    {
      name: 'a column renamed at home',
      make: atHome('alter table sources rename column channel to station'),
      run: status,
      code: 'COLUMN_RENAMED',
      message: /sources\.channel is called station on the primary/,
      fix: /rename column station to channel/,
      undo: atHome('alter table sources rename column station to channel'),
    },
    {
      name: 'row security switched on',
      make: inCloud('alter table segments enable row level security'),
      run: status,
      code: 'ROW_SECURITY',
      message: /row level security is on for segments/,
      fix: /disable row level security/,
      undo: inCloud('alter table segments disable row level security'),
    },
    {
      name: 'another replica identity',
      make: atHome('alter table sources replica identity default'),
      run: status,
      code: 'REPLICA_IDENTITY',
      message: /replica identity of sources lacks visibility/,
      fix: /replica identity using index sources_identity/,
      undo: atHome('alter table sources replica identity using index sources_identity'),
    },
    {
      name: 'a unique index of the cloud alone',
      make: inCloud('create unique index one_title on sources (title)'),
      run: diff,
      code: 'UNIQUE_DIFFERS',
      message: /one_title of sources exists in the cloud only/,
      fix: /on the cloud: drop index one_title/,
      exitCode: 3,
      undo: inCloud('drop index one_title'),
    },
    {
      name: 'a trigger that fires at what arrives',
      make: inCloud('alter table sources enable always trigger sources_bump'),
      run: diff,
      code: 'TRIGGER_FIRES',
      message: /sources_bump of sources fires in the cloud/,
      fix: /on the cloud: alter table sources enable trigger sources_bump/,
      undo: inCloud('alter table sources enable trigger sources_bump'),
    },
    {
      name: 'a table added on one side and published',
      make: atHome('create table diary (day date primary key); alter publication homeport add table diary'),
      run: diff,
      code: 'TABLE_FOREIGN',
      message: /the publication sends diary/,
      fix: /on the primary: alter publication homeport drop table diary/,
      undo: atHome('drop table diary'),
    },
    {
      name: 'a table taken out of the publication',
      make: atHome('alter publication homeport drop table lexicon'),
      run: diff,
      code: 'TABLE_NOT_SENT',
      message: /lexicon is not in the publication/,
      fix: /^ops setup-replication$/,
      undo: setUpAgain,
    },
    {
      name: 'the cloud lacks a migration',
      make: inCloud(`delete from homeport_migrations where name like '006%'`),
      run: status,
      code: 'NOT_MIGRATED',
      message: /the migration 006-proof-and-repair\.sql is missing/,
      fix: /^ops migrate$/,
    },
    {
      name: 'and what it makes is there by hand',
      run: { words: ['migrate'], settings },
      code: 'MIGRATION_COLLIDES',
      message:
        /cannot be applied on the cloud, which has verifications\.full_at \(timestamp with time zone\) already/,
      fix: /alter table verifications drop column full_at/,
      exitCode: 2,
      undo: inCloud(
        `insert into homeport_migrations (name, batch, migration_time) values ('006-proof-and-repair.sql', 1, now())`,
      ),
    },
    {
      name: 'the vector index is gone',
      make: inCloud(
        `do $$ begin execute (select 'drop index ' || indexname from pg_indexes where indexdef ~ 'hnsw'); end $$`,
      ),
      run: status,
      code: 'INDEX_MISSING',
      message: /searches are right but slow/,
      fix: /^ops index$/,
      undo: () => ops(settings, 'index'),
    },
    {
      name: 'somebody wrote into the cloud',
      make: () => plant(cloud, 'insert into lexicon values (5, 1)'),
      run: monitor,
      code: 'DRIFT',
      message: /lexicon is not what the primary has/,
      fix: /ops /,
      exitCode: 3,
      undo: () => plant(cloud, 'delete from lexicon where term = 5'),
    },
    {
      name: 'a row of the cloud is in the way of one from home',
      make: async () => {
        await plant(cloud, 'insert into lexicon values (6, 1)')
        await primary.query('insert into lexicon values (6, 2)')
      },
      run: monitor,
      code: 'SUBSCRIPTION_FAILING',
      message: /a change of the primary cannot be applied/,
      fix: /ops schema diff .* log of the cloud server/,
      exitCode: 3,
      undo: async () => {
        await plant(cloud, 'delete from lexicon where term = 6')
        await passFence(primary, cloud)
      },
    },
    {
      name: 'the other way of replication is there',
      run: { words: ['setup-replication', '--mode', 'relay'], settings },
      code: 'NATIVE_PRESENT',
      message: /follows by the native subscription/,
      fix: /ops teardown-replication/,
      exitCode: 2,
    },
    {
      name: 'the password of the replication role was changed',
      make: async () => {
        await primary.query(`alter role ${role} password 'another'`)
        await endReaders(primary, name)
        await stands(cloud)
      },
      run: status,
      code: 'SUBSCRIPTION_NOT_RUNNING',
      message: /no worker of the subscription runs/,
      fix: /^ops setup-replication sets address and password/,
      undo: setUpAgain,
    },
    {
      name: 'the subscription is switched off',
      make: inCloud('alter subscription homeport disable'),
      run: status,
      code: 'SUBSCRIPTION_DISABLED',
      message: /switched off/,
      fix: /^ops setup-replication switches it on/,
    },
    {
      name: 'the cloud is further behind than it may be',
      make: () => insertTalk(primary, { id: 2 }),
      run: { words: ['monitor', '--once', '--max-lag-bytes', '0'], settings },
      code: 'LAG',
      message: /behind, the limit is 0 B/,
      fix: /^ops status/,
      exitCode: 3,
    },
    {
      name: 'the slot is gone',
      make: async () => {
        await until(
          () => primary.query('select from pg_replication_slots where slot_name = $1 and active', [name]),
          ({ rowCount }) => rowCount === 0,
        )
        await primary.query('select pg_drop_replication_slot($1)', [name])
      },
      run: status,
      code: 'SLOT_LOST',
      message: /the slot .* of the subscription is gone/,
      fix: /ops teardown-replication, .*ops setup-replication/,
    },
    {
      name: 'the heartbeat table is gone',
      make: inCloud('alter table heartbeat rename to pulse'),
      run: status,
      code: 'TABLE_MISSING',
      message: /there is no table heartbeat/,
      fix: /ops migrate; .*pg_dump --schema-only .*--table public\.heartbeat.*ops setup-replication/,
      exitCode: 0,
      undo: inCloud('alter table pulse rename to heartbeat'),
    },
    {
      name: 'the publication is gone',
      make: atHome('drop publication homeport'),
      run: diff,
      code: 'PUBLICATION_MISSING',
      message: /the publication homeport is gone/,
      fix: /^ops setup-replication$/,
    },
    {
      name: 'no subscription is left',
      make: inCloud('alter subscription homeport set (slot_name = none); drop subscription homeport'),
      run: status,
      code: 'NO_SUBSCRIPTION',
      message: /the cloud does not follow the primary/,
      fix: /^ops setup-replication$/,
    },
  ]
}

async function endReaders(primary: pg.Pool, slot: string): Promise<void> {
  await primary.query(
    'select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active',
    [slot],
  )
}

/** Waits until the worker has met the refusal: it is gone until its next attempt. */
async function stands(cloud: pg.Pool): Promise<void> {
  await until(
    () => cloud.query('select from pg_stat_subscription where relid is null and pid is not null'),
    ({ rowCount }) => rowCount === 0,
  )
}
