import t from 'tap'
import { publishedTables } from '../../../../core/published-tables.ts'
import { decideReseed, reseed, type ReseedOptions } from '../../../../replication/relay/setup/reseed.ts'
import { setupReplication } from '../../../../replication/setup.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { runOps } from '../../../support/relay-pair.ts'
import { plant } from '../../support.ts'
import { fillTalks } from '../seed/support.ts'
import { createRelaySetup, log, opsSettings, type RelaySetup } from './support.ts'

function reseedOf(pair: RelaySetup, options: Partial<ReseedOptions> = {}) {
  const way = { kind: 'direct', relayUrl: pair.relayUrl } as const
  return reseed({ ...pair.urls, way, log, rangeRows: 20, ...options })
}

async function catchUp(t: Parameters<typeof temporaryFolder>[0], pair: RelaySetup): Promise<void> {
  const settings = { ...opsSettings(pair), RELAY_STATE_PATH: temporaryFolder(t), RELAY_PORT: '0' }
  await runOps({ args: ['relay', '--until-caught-up'], settings })
}

t.test(
  'everything, after the slot was lost and the cloud was damaged: the relay goes on from a new slot',
  async (t) => {
    const pair = await createRelaySetup(t)
    await fillTalks(pair.primary, 1, 100)
    const { slot } = await pair.setUp()
    await pair.primary.query('select pg_drop_replication_slot($1)', [slot])
    await fillTalks(pair.primary, 101, 110)
    await plant(pair.cloud, 'delete from segments where id < 50; insert into lexicon values (99, 1)')
    await pair.cloud.query(
      `insert into relay_quarantine (slot, commit_lsn, table_name, operation, key, error_code, reason)
     values ('${slot}', '0/1', 'segments', 'insert', '{5}', '23514', 'x')`,
    )
    const report = await reseedOf(pair)
    t.match(report, { slot, tables: publishedTables.map((table) => table.name), index: { created: true } })
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    t.strictSame(await queryRows(pair.cloudUrl, 'select from relay_quarantine where resolved_at is null'), [])
    await fillTalks(pair.primary, 111, 120)
    await pair.primary.query('delete from sources where id = 3')
    await catchUp(t, pair)
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  },
)

t.test(
  'some tables while the stream lies behind: the rest is left alone, and the relay goes on',
  async (t) => {
    const pair = await createRelaySetup(t)
    await fillTalks(pair.primary, 1, 100)
    await pair.setUp()
    await fillTalks(pair.primary, 101, 130)
    await pair.primary.query(
      `delete from sources where id in (4, 104); update segments set text = 'new' where id in (5, 105)`,
    )
    await plant(pair.cloud, 'delete from segments where id < 50')
    const untouched = await queryRows(pair.cloudUrl, 'select xmin, ctid, id from sources order by id')
    const report = await reseedOf(pair, { tables: ['segments', 'embeddings'] })
    t.strictSame(report.tables, ['segments', 'embeddings'])
    t.strictSame(await queryRows(pair.cloudUrl, 'select xmin, ctid, id from sources order by id'), untouched)
    const settled = await queryRows(pair.cloudUrl, 'select table_name as name from relay_tables order by 1')
    t.strictSame(settled, [{ name: 'embeddings' }, { name: 'segments' }])
    await fillTalks(pair.primary, 131, 140)
    await pair.primary.query('delete from sources where id in (6, 106, 136)')
    await catchUp(t, pair)
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    t.equal((await pair.setUp()).changed, false)
  },
)

t.test('killed in the middle, a setup goes on with it', async (t) => {
  const pair = await createRelaySetup(t)
  await fillTalks(pair.primary, 1, 50)
  await pair.setUp()
  const settings = opsSettings(pair)
  await t.rejects(runOps({ args: ['reseed', '--yes'], settings, failpoint: 'seed.after-range:3:kill' }))
  t.match(await queryRows(pair.cloudUrl, 'select state from relay_progress'), [{ state: 'seeding' }])
  await t.rejects(reseedOf(pair, { tables: ['segments'] }), { code: 'SEED_UNFINISHED' })
  await fillTalks(pair.primary, 51, 60)
  t.equal((await pair.setUp()).changed, true)
  await catchUp(t, pair)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})

t.test('while a relay runs nothing is emptied', async (t) => {
  const pair = await createRelaySetup(t)
  await fillTalks(pair.primary, 1, 20)
  await pair.setUp()
  await pair.cloud.query(
    `update relay_progress set holder = 'x', holder_name = 'box (process 7)', holder_until = now() + interval '1 hour'`,
  )
  for (const tables of [[], ['segments']]) {
    await t.rejects(reseedOf(pair, { tables }), {
      code: 'RELAY_HELD',
      exitCode: 1,
      message: /box \(process 7\)/,
    })
  }
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  t.match(await queryRows(pair.cloudUrl, 'select state, holder from relay_progress'), [
    { state: 'following', holder: 'x' },
  ])
})

t.test('what cannot be copied again, and why', async (t) => {
  const pair = await createRelaySetup(t)
  await t.rejects(reseedOf(pair), { code: 'NOT_SET_UP', exitCode: 2, hint: /--mode relay/ })
  await t.rejects(reseedOf(pair, { tables: ['segments', 'nothing'] }), {
    code: 'USAGE',
    exitCode: 2,
    message: /nothing/,
  })
  await setupReplication(pair.urls)
  await t.rejects(reseedOf(pair), { code: 'NOT_SET_UP', exitCode: 2, message: /native subscription/ })
  const state = {
    slot: 'homeport_a',
    state: 'following',
    systemIdentifier: '7',
    timeline: 1,
    commitLsn: '0/1',
    endLsn: '0/2',
  } as const
  const sound = {
    wanted: publishedTables.slice(0, 2),
    state,
    slot: { walStatus: 'reserved' },
    identity: { systemIdentifier: '7', timeline: 1 },
  }
  t.strictSame(decideReseed(sound), { kind: 'tables', tables: ['sources', 'segments'], from: state })
  const everything = { ...sound, wanted: publishedTables }
  const broken: [Partial<typeof sound> | { slot: null }, string][] = [
    [{ slot: null }, 'SLOT_MISSING'],
    [{ slot: { walStatus: 'lost' } }, 'SLOT_LOST'],
    [{ identity: { systemIdentifier: '7', timeline: 2 } }, 'PRIMARY_CHANGED'],
    [{ identity: { systemIdentifier: '8', timeline: 1 } }, 'PRIMARY_CHANGED'],
  ]
  for (const [change, code] of broken) {
    t.throws(() => decideReseed({ ...sound, ...change }), { code, hint: /ops reseed, without names/ }, code)
    t.match(decideReseed({ ...everything, ...change }), { kind: 'start' }, `${code}: everything helps`)
  }
})
