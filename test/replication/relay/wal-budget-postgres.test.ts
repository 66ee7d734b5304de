import { statfsSync } from 'node:fs'
import t from 'tap'
import { connect } from '../../../core/db.ts'
import { migrate } from '../../../core/migrate.ts'
import { loadSql } from '../../../core/sql.ts'
import { askIngestToPause } from '../../../replication/relay/ingest-pause.ts'
import {
  judgeWalBudget,
  noWalHistory,
  readWalBudget,
  rememberWal,
  type WalHistory,
} from '../../../replication/relay/wal-budget.ts'
import { privateCluster } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'

const mb = 1024 ** 2
const applicationName = 'homeport test'

t.test('a real slot: the forecast says when it is cut off, and then it is', async (t) => {
  const cluster = await privateCluster(t)
  const db = await connect({ connectionString: cluster.superuserUrl(), applicationName })
  t.teardown(() => db.end())
  await db.query(`alter system set max_slot_wal_keep_size = '160MB'`)
  await db.query('select pg_reload_conf()')
  await db.query(`select pg_create_logical_replication_slot('homeport_budget', 'pgoutput')`)

  const start = await readWalBudget(db, 'homeport_budget')
  t.match(start, { walStatus: 'reserved', keepLimitBytes: 160 * mb })
  t.ok(start.retainedBytes < 16 * mb && (start.safeWalBytes ?? 0) > 128 * mb)
  t.ok(judgeWalBudget(start, noWalHistory).usedShare < 0.2)

  // A look every ten seconds, by a clock of our own, while nobody reads the slot.
  let history: WalHistory = noWalHistory
  let predicted: number | undefined
  const actions: string[] = []
  let steps = 0
  let message = ''
  for (; steps < 100; steps += 1) {
    const facts = { ...(await readWalBudget(db, 'homeport_budget')), atMs: steps * 10_000, disk: null }
    const verdict = judgeWalBudget(facts, history)
    history = rememberWal(history, facts, verdict)
    if (facts.walStatus === 'lost') break
    if (steps === 8) predicted = steps + (verdict.secondsToCut ?? Infinity) / 10
    if (actions.at(-1) !== verdict.action) actions.push(verdict.action)
    message = verdict.message
    await writeLog(4)
    await db.query('checkpoint')
  }
  t.strictSame(actions, ['hold', 'spool', 'pauseIngest'], 'each in time')
  t.match(message, /the slot keeps 1\d\d\.\d MB of log, (9\d|100) % of what it may/)
  t.ok(
    predicted !== undefined && Math.abs(predicted - steps) <= 5,
    `predicted ${predicted}, lost at ${steps}`,
  )
  const lost = await readWalBudget(db, 'homeport_budget')
  t.match(judgeWalBudget(lost, history), { action: 'hold', usedShare: 1, message: /is lost/ })
  await t.rejects(readWalBudget(db, 'homeport_absent'), { code: 'SLOT_MISSING', hint: /ops reseed/ })

  async function writeLog(megabytes: number): Promise<void> {
    for (let count = 0; count < megabytes; count += 1) {
      await db.query(`select pg_logical_emit_message(false, 'test', repeat('x', 1024 * 1024))`)
    }
  }

  await t.test('the disk is known to who may see where the data is, and only there', async (t) => {
    const real = statfsSync(cluster.folder)
    const { disk } = await readWalBudget(db, 'homeport_budget')
    t.equal(disk?.totalBytes, real.blocks * real.bsize)
    t.ok((disk?.freeBytes ?? 0) > 0 && (disk?.freeBytes ?? 0) < real.blocks * real.bsize)

    await queryRows(cluster.superuserUrl(), `create role plain login replication password 'plain'`)
    const url = new URL(cluster.superuserUrl())
    url.username = 'plain'
    url.password = 'plain'
    const plain = await connect({ connectionString: url.href, applicationName })
    t.teardown(() => plain.end())
    const facts = await readWalBudget(plain, 'homeport_budget')
    t.match(
      facts,
      { walStatus: 'lost', keepLimitBytes: 160 * mb, disk: null },
      'the relay needs no privilege',
    )
    const given = await readWalBudget(plain, 'homeport_budget', { dataFolder: cluster.folder })
    t.equal(given.disk?.totalBytes, disk?.totalBytes, 'the operator said where it is')
    const wrong = await readWalBudget(plain, 'homeport_budget', { dataFolder: '/nowhere' })
    t.equal(wrong.disk, null)
  })

  await t.test('without a limit there is none', async (t) => {
    await db.query('alter system reset max_slot_wal_keep_size')
    await db.query(`alter system set max_slot_wal_keep_size = -1`)
    await db.query('select pg_reload_conf()')
    await db.query(`select pg_create_logical_replication_slot('homeport_unlimited', 'pgoutput')`)
    const facts = await readWalBudget(db, 'homeport_unlimited')
    t.match(facts, { keepLimitBytes: null, safeWalBytes: null })
    t.match(judgeWalBudget({ ...facts, disk: null }, noWalHistory), { action: 'hold', message: /a guess/ })
  })

  await t.test('ingest waits for no slot that is lost: it holds no log back any more', async (t) => {
    await migrate(cluster.superuserUrl())
    const waits = async (): Promise<string[]> =>
      (await db.query<{ slot: string }>(loadSql('ingest/pause'))).rows.map(({ slot }) => slot)
    await askIngestToPause(db, 'homeport_budget', 'full')
    t.strictSame(await waits(), [])
    await askIngestToPause(db, 'homeport_unlimited', 'full')
    t.strictSame(await waits(), ['homeport_unlimited'])
  })
})
