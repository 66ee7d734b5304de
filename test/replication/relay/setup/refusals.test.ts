import t from 'tap'
import { migrateBoth } from '../../../../replication/migrate-both.ts'
import { openReplicationSession } from '../../../../replication/relay/replication-session.ts'
import { readSlotName } from '../../../../replication/slot.ts'
import { setupReplication } from '../../../../replication/setup.ts'
import { teardownReplication } from '../../../../replication/teardown.ts'
import { createDatabase, queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { startTransactionPooler } from '../../../support/transaction-pooler.ts'
import { insertTalk, withRole } from '../../support.ts'
import { createRelaySetup, type RelaySetup } from './support.ts'

/** What a refused setup must not leave behind. */
async function traces(pair: RelaySetup): Promise<unknown[]> {
  return [
    ...(await queryRows(
      pair.primaryUrl,
      'select slot_name::text as name from pg_replication_slots where database = current_database()',
    )),
    ...(await queryRows(pair.cloudUrl, 'select slot as name from relay_progress')),
  ]
}

/** The same role and database at another server's address. */
function moved(url: string, to: string): string {
  const changed = new URL(url)
  const target = new URL(to)
  changed.host = target.host
  return changed.href
}

t.test('the wrong addresses', async (t) => {
  const pair = await createRelaySetup(t)
  const other = await createDatabase(t, 'primary')
  const cases: [Partial<RelaySetup>, { code: string; exitCode?: 2; hint?: RegExp; message?: RegExp }][] = [
    [{ cloudUrl: pair.primaryUrl }, { code: 'SAME_SERVER', exitCode: 2 }],
    [{ cloudUrl: other }, { code: 'SAME_SERVER', exitCode: 2 }],
    [
      { replicationUrl: moved(pair.replicationUrl, pair.cloudUrl) },
      { code: 'REPLICATION_ELSEWHERE', exitCode: 2 },
    ],
    [
      { replicationUrl: withRole(other, new URL(pair.replicationUrl).username, 'x') },
      { code: 'DATABASE_DIFFERS', exitCode: 2 },
    ],
    [{ replicationUrl: pair.primaryUrl }, { code: 'ROLE_CONFLICT', exitCode: 2 }],
    [{ gatewayUrl: pair.relayUrl }, { code: 'ROLE_SHARED', exitCode: 2 }],
    [{ gatewayUrl: pair.cloudUrl }, { code: 'ROLE_CONFLICT', exitCode: 2 }],
  ]
  for (const [change, expected] of cases) {
    await t.rejects(pair.setUp(change), expected, `${Object.keys(change).join()} ${expected.code}`)
  }
  const relayUrl = moved(pair.relayUrl, pair.primaryUrl)
  const elsewhere = { relayUrl, way: { kind: 'direct', relayUrl } } as const
  await t.rejects(pair.setUp(elsewhere), {
    code: 'RELAY_ELSEWHERE',
    exitCode: 2,
    message: /^cloud: RELAY_DATABASE_URL/,
  })
  t.strictSame(await traces(pair), [])
  const gone = await createDatabase(t, 'cloud')
  await t.rejects(pair.setUp({ relayUrl: withRole(gone, new URL(pair.relayUrl).username, 'x') }), {
    code: 'DATABASE_DIFFERS',
  })
})

t.test('a pooler in front of the primary, and one in front of the cloud', async (t) => {
  const pair = await createRelaySetup(t)
  const atHome = await startTransactionPooler(t, pair.primaryUrl)
  const replicationUrl = atHome.through(pair.replicationUrl)
  const refused = { code: 'POOLED_CONNECTION', exitCode: 2, hint: /direct address/ }
  await t.rejects(pair.setUp({ replicationUrl }), refused)
  t.strictSame(await traces(pair), [])
  await insertTalk(pair.primary, { id: 1 })
  const inCloud = await startTransactionPooler(t, pair.relayUrl)
  const relayUrl = inCloud.through(pair.relayUrl)
  const report = await pair.setUp({ relayUrl, way: { kind: 'direct', relayUrl } })
  t.match(
    report.warnings.filter((one) => one.code === 'POOLED_CONNECTION'),
    [{ side: 'cloud', message: /RELAY_DATABASE_URL/ }],
  )
  t.strictSame(await compareRows(pair.primary, pair.cloud), [], 'and it works')
})

t.test('tables that are not there, or not empty', async (t) => {
  const pair = await createRelaySetup(t)
  const bare = await createDatabase(t, 'cloud', { migrate: false })
  const as = (url: string, of: string): string => withRole(url, new URL(of).username, 'x')
  const bareUrls = {
    cloudUrl: bare,
    readerUrl: as(bare, pair.readerUrl),
    relayUrl: as(bare, pair.relayUrl),
    gatewayUrl: as(bare, pair.gatewayUrl),
  }
  await t.rejects(pair.setUp(bareUrls), { code: 'NOT_MIGRATED', hint: 'ops migrate', exitCode: 2 })
  await migrateBoth({ primaryUrl: pair.primaryUrl, cloudUrl: bare })
  await queryRows(bare, 'drop table relay_parts, relay_ranges, relay_tables, relay_progress')
  await t.rejects(pair.setUp(bareUrls), { code: 'NOT_MIGRATED', message: /relay's tables/ })

  await insertTalk(pair.cloud, { id: 1 })
  await t.rejects(pair.setUp(), {
    code: 'CLOUD_NOT_EMPTY',
    hint: /truncate .*sources.* cascade/,
    exitCode: 2,
  })
  await pair.cloud.query(`insert into ingested_files values ('a', 1, 'x', now())`)
  await t.rejects(pair.setUp(), { code: 'CLOUD_INGESTED', exitCode: 2 })
  t.equal((await pair.cloud.query('select from sources')).rowCount, 1, 'nothing was emptied')
})

t.test('one way of following keeps the other out, until it is torn down', async (t) => {
  const pair = await createRelaySetup(t)
  await insertTalk(pair.primary, { id: 1 })
  await setupReplication(pair)
  await t.rejects(pair.setUp(), { code: 'NATIVE_PRESENT', exitCode: 2, hint: /ops teardown-replication/ })
  await teardownReplication(pair)
  await pair.cloud.query('truncate sources, models, lexicon, heartbeat, verifications cascade')
  await pair.setUp()
  await t.rejects(setupReplication(pair), { code: 'RELAY_PRESENT', exitCode: 2, hint: /--mode relay/ })
  const swapped = { primaryUrl: pair.cloudUrl, cloudUrl: pair.primaryUrl }
  await t.rejects(pair.setUp(swapped), { code: 'SIDES_SWAPPED', exitCode: 2 })

  const removed = await teardownReplication({ ...pair, roles: pair })
  t.strictSame(removed.left, [])
  t.match(removed.removed, [
    'record of the relay',
    /^role/,
    /^role/,
    /^role/,
    /^slot/,
    'publication homeport',
    /^role/,
  ])
  t.strictSame(await teardownReplication({ ...pair, roles: pair }), { removed: [], restored: [], left: [] })
  t.strictSame(await traces(pair), [])
  t.strictSame(await compareRows(pair.primary, pair.cloud), [], 'the content stays')
})

t.test('a copy of another cloud brings its record along', async (t) => {
  const pair = await createRelaySetup(t)
  await queryRows(
    pair.cloudUrl,
    `insert into relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn, state)
     values ('homeport_another', '1', 1, '0/1', '0/1', 'following')`,
  )
  await t.rejects(pair.setUp(), { code: 'RELAY_FOREIGN', hint: /ops teardown-replication/, exitCode: 2 })
  await t.rejects(setupReplication(pair), { code: 'RELAY_FOREIGN' })
  await teardownReplication(pair)
  t.equal((await pair.setUp()).changed, true)
})

t.test('a slot that is left over is replaced, one that is in use is not', async (t) => {
  const pair = await createRelaySetup(t)
  const slot = await readSlotName(pair.cloud)
  await pair.primary.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  const reader = await openReplicationSession(pair.primaryUrl)
  reader
    .query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names 'homeport')`)
    .catch(() => undefined)
  const active = () =>
    queryRows(pair.primaryUrl, 'select from pg_replication_slots where slot_name = $1 and active', [slot])
  while ((await active()).length === 0);
  await t.rejects(pair.setUp(), { code: 'SLOT_HELD', exitCode: 2, message: /process \d+ \(homeport ops\)/ })
  await reader.end()
  while ((await active()).length > 0);
  t.equal((await pair.setUp()).changed, true)
  t.equal((await traces(pair)).length, 2)
})

t.test('a new slot waits for an open transaction: it is named, and nothing stays behind', async (t) => {
  const pair = await createRelaySetup(t)
  const writer = await pair.primary.connect()
  const { rows } = await writer.query<{ pid: number }>('select pg_backend_pid() as pid')
  await writer.query('begin; insert into lexicon values (1, 1)')
  await t.rejects(pair.setUp({ slotTimeoutMs: 500 }), {
    code: 'SLOT_WAITS',
    message: new RegExp(`process ${rows[0]?.pid ?? 'unknown'} `),
  })
  t.strictSame(await traces(pair), [])
  await writer.query('rollback')
  writer.release()
  t.equal((await pair.setUp()).changed, true)
})

t.test('two setups at once', async (t) => {
  const pair = await createRelaySetup(t)
  const outcomes = await Promise.allSettled([pair.setUp(), pair.setUp()])
  const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  t.equal(refused.length, 1)
  // The loser may also meet roles that the winner is just making.
  t.ok(['SETUP_RUNS'].includes((refused[0] as { code: string }).code), String(refused[0]))
  t.equal((await pair.setUp()).changed, false)
})

t.test('a slot that was lost: after the copy it is told, during the copy it begins anew', async (t) => {
  const pair = await createRelaySetup(t)
  await insertTalk(pair.primary, { id: 1 })
  const { slot } = await pair.setUp()
  await pair.primary.query('select pg_drop_replication_slot($1)', [slot])
  await t.rejects(pair.setUp(), { code: 'SLOT_LOST', exitCode: 2, hint: /ops reseed/ })
  await pair.cloud.query(
    `update relay_progress set state = 'seeding'; update relay_ranges set snapshot_lsn = null where table_name = 'models'`,
  )
  await insertTalk(pair.primary, { id: 2 })
  const again = await pair.setUp()
  t.match(again, { changed: true, copy: { rows: 9 } })
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})

t.test('another primary, or an older one', async (t) => {
  const pair = await createRelaySetup(t)
  await pair.setUp()
  const cases: [string, { code: string; exitCode?: 2; hint?: RegExp; message?: RegExp }][] = [
    [`system_identifier = '1'`, { code: 'PRIMARY_CHANGED', exitCode: 2, hint: /ops reseed/ }],
    ['timeline = 7', { code: 'PRIMARY_CHANGED', message: /timeline 1.*timeline 7/ }],
    [`end_lsn = 'FFFFFF/0'`, { code: 'PRIMARY_REWOUND', hint: /ops reseed/ }],
  ]
  const before = await queryRows<Record<string, string>>(
    pair.cloudUrl,
    'select system_identifier, end_lsn from relay_progress',
  )
  for (const [change, expected] of cases) {
    await pair.cloud.query(`update relay_progress set ${change}`)
    await t.rejects(pair.setUp(), expected, change)
    await pair.cloud.query('update relay_progress set system_identifier = $1, timeline = 1, end_lsn = $2', [
      before[0]?.['system_identifier'],
      before[0]?.['end_lsn'],
    ])
  }
  t.equal((await pair.setUp()).changed, false)
})
