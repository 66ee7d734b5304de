import type { Test } from 'tap'
import type pg from 'pg'
import { openReplicationSession } from '../../../replication/relay/replication-session.ts'
import { plant } from '../../replication/support.ts'
import { until } from '../../support/api.ts'
import { createRelayPair } from '../../support/relay-pair.ts'
import { startTransactionPooler } from '../../support/transaction-pooler.ts'
import { runInTime, type Cause } from './support.ts'

/** What stops a relay, or keeps it from starting. */
export async function relayCauses(t: Test): Promise<Cause[]> {
  const pair = await createRelayPair(t)
  const { primary, cloud, settings, slot } = pair
  const atHome = (sql: string) => () => primary.query(sql)
  const inCloud = (sql: string) => () => cloud.query(sql)
  const relay = { words: ['relay'], settings }
  const status = { words: ['status'], settings }
  const { REPLICATION_DATABASE_URL: homeUrl = '', RELAY_DATABASE_URL: cloudUrl = '' } = settings
  const role = new URL(cloudUrl).username
  const pooler = await startTransactionPooler(t, homeUrl)
  const run = async (...words: string[]): Promise<void> => {
    const { exitCode, stderr } = await runInTime(settings, ...words)
    t.equal(exitCode, 0, `${words.join(' ')}: ${stderr}`)
  }
  let reader: Awaited<ReturnType<typeof openReplicationSession>> | undefined
  return [
    {
      name: 'no relay runs',
      run: status,
      code: 'RELAY_NOT_RUNNING',
      message: /no relay is running: none ever ran/,
      fix: /^start ops relay/,
    },
    {
      name: 'the cloud follows by relay, and a subscription is asked for',
      run: { words: ['setup-replication'], settings },
      code: 'RELAY_PRESENT',
      message: /the relay fills this cloud/,
      fix: /^ops setup-replication --mode relay/,
      exitCode: 2,
    },
    {
      name: 'the role of the relay can only read',
      make: inCloud(`alter role ${role} set default_transaction_read_only = on`),
      run: { words: ['setup-replication', '--mode', 'relay'], settings },
      code: 'CLOUD_READ_ONLY',
      message: /the sessions of RELAY_DATABASE_URL can only read/,
      fix: /alter role .* reset default_transaction_read_only/,
      exitCode: 2,
      undo: inCloud(`alter role ${role} reset default_transaction_read_only`),
    },
    {
      name: 'the cloud may lose what it has confirmed',
      make: inCloud(`alter role ${role} set synchronous_commit = off`),
      run: relay,
      code: 'SYNCHRONOUS_COMMIT_OFF',
      message: /synchronous_commit is off/,
      fix: /alter role .* reset synchronous_commit/,
      exitCode: 2,
      undo: inCloud(`alter role ${role} reset synchronous_commit`),
    },
    {
      name: 'a pooler before the primary',
      run: {
        words: ['relay'],
        settings: { ...settings, REPLICATION_DATABASE_URL: pooler.through(homeUrl) },
      },
      code: 'POOLED_CONNECTION',
      message: /REPLICATION_DATABASE_URL.*pooler/,
      fix: /put the (?:direct )?address of/,
    },
    {
      name: 'another relay holds the lease',
      make: inCloud(
        `update relay_progress set holder = 'x', holder_name = 'other:1', held_since = now(), holder_until = now() + interval '1 hour'`,
      ),
      run: relay,
      code: 'RELAY_HELD',
      message: /another relay \(other:1.*\) reads slot/,
      fix: /stop it first/,
      exitCode: 1,
      undo: inCloud('update relay_progress set holder_until = now()'),
    },
    {
      name: 'something else reads the slot',
      make: async () => {
        reader = await openReplicationSession(pair.primaryUrl)
        reader
          .query(
            `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names 'homeport')`,
          )
          .catch(() => undefined)
        await slotIs(true)
      },
      run: relay,
      code: 'SLOT_HELD',
      message: /slot .* is being read by/,
      fix: /select pg_terminate_backend\(\d+\) on the primary/,
      exitCode: 1,
      undo: async () => {
        await reader?.end()
        await slotIs(false)
      },
    },
    {
      name: 'a column added at home only, under a relay',
      make: atHome('alter table sources add column note text'),
      run: relay,
      code: 'SCHEMA_MISMATCH',
      message: /sources\.?.*note.*: alter table sources add column note text/,
      fix: /run on the cloud what stands behind each.*ops schema diff/,
      exitCode: 1,
      undo: atHome('alter table sources drop column note'),
    },
    {
      name: 'a row that somebody wrote into the cloud, under a relay',
      make: async () => {
        await plant(cloud, 'insert into lexicon values (7001, 1)')
        await primary.query('insert into lexicon values (7001, 2)')
      },
      run: relay,
      code: 'DUPLICATE_KEY',
      message: /lexicon .*7001.* cannot be written/,
      fix: /delete it there .*start ops relay again/,
      exitCode: 1,
      undo: async () => {
        await plant(cloud, 'delete from lexicon where term = 7001')
        await run('relay', '--until-caught-up')
      },
    },
    {
      name: 'a row that the cloud refuses',
      make: async () => {
        await cloud.query('alter table lexicon add constraint small check (term <> 7002)')
        await primary.query('insert into lexicon values (7002, 9999)')
      },
      run: relay,
      code: 'POISON_ROW',
      message: /the cloud refuses lexicon .*7002/,
      fix: /ops relay --quarantine/,
      exitCode: 1,
    },
    {
      name: 'a row put aside',
      make: () => run('relay', '--quarantine', '--until-caught-up'),
      run: status,
      code: 'QUARANTINED',
      message: /the cloud refused 1 row of lexicon/,
      fix: /remove what refuses them in the cloud, .*ops re(?:pair|seed) lexicon/,
      undo: async () => {
        await cloud.query('alter table lexicon drop constraint small')
        await run('reseed', 'lexicon', '--yes')
      },
    },
    {
      name: 'the primary was made anew',
      make: inCloud(`update relay_progress set system_identifier = '7'`),
      run: relay,
      code: 'PRIMARY_CHANGED',
      message: /is not the one that the cloud follows/,
      fix: /ops reseed/,
      exitCode: 1,
      undo: inCloud(`update relay_progress set system_identifier = '${await systemOf(primary)}'`),
    },
    {
      name: 'the slot of the relay is gone',
      make: async () => {
        await slotIs(false)
        await primary.query('select pg_drop_replication_slot($1)', [slot])
      },
      run: relay,
      code: 'SLOT_MISSING',
      message: /the primary has no slot/,
      fix: /^ops reseed/,
      exitCode: 1,
    },
    {
      name: 'the record of the relay is gone',
      make: inCloud('delete from relay_progress'),
      run: relay,
      code: 'CLOUD_REWOUND',
      message: /restored to an older state, or made anew/,
      fix: /^ops reseed/,
      exitCode: 1,
    },
  ]

  async function slotIs(active: boolean): Promise<void> {
    await until(
      () => primary.query('select from pg_replication_slots where slot_name = $1 and active', [slot]),
      ({ rowCount }) => (rowCount === 1) === active,
    )
  }
}

async function systemOf(db: pg.Pool): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    'select system_identifier::text as id from pg_control_system()',
  )
  return rows[0]?.id ?? ''
}
