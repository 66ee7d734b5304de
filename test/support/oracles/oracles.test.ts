import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { formatLsn, parseLsn } from '../../../core/lsn.ts'
import { createPool } from '../../../core/db.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { plant } from '../../replication/support.ts'
import { createDatabasePair, uniqueName } from '../databases.ts'
import { temporaryFolder, until } from '../api.ts'
import type { RelayPair } from '../relay-pair.ts'
import { prepareWorkload } from '../workload.ts'
import { watchPair } from './watch.ts'
import { compareRows, passFence } from './equality.ts'
import { compareLedger, Ledger } from './ledger.ts'
import { compareOnce } from './once.ts'
import { SlotSampler } from './slot-sampler.ts'
import { TearReader } from './tear-reader.ts'

/** A pair that a native subscription keeps equal, and a progress row that says it is far ahead. */
async function createFollower(t: Test): Promise<RelayPair> {
  const { primaryUrl, cloudUrl } = await createDatabasePair(t)
  const primary = createPool({ connectionString: primaryUrl, applicationName: 'homeport test' })
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => Promise.all([primary.end(), cloud.end()]))
  await prepareWorkload(primary)
  const tables = publishedTables.map(
    ({ name, filter }) => `table ${name} ${filter === undefined ? '' : `where (${filter})`}`,
  )
  await primary.query(`create publication everything for ${tables.join(', ')}`)
  const slot = uniqueName('sub')
  await cloud.query(`create subscription ${slot} connection '${primaryUrl}' publication everything`)
  await until(
    () => cloud.query(`select from pg_subscription_rel where srsubstate <> 'r'`),
    ({ rowCount }) => rowCount === 0,
  )
  await passFence(primary, cloud)
  await cloud.query(
    `insert into relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn) values ($1, '1', 1, '0/0', 'FFFFFFFF/0')`,
    [slot],
  )
  return { primary, cloud, primaryUrl, cloudUrl, slot, stateFolder: '', settings: {} }
}

// A native subscription is the yardstick: what it does is right, and every oracle must say so.
t.test('over a sound replication no oracle objects; each finds what is planted for it', async (t) => {
  const pair = await createFollower(t)
  const { primary, cloud, cloudUrl, slot } = pair
  const watch = await watchPair(t, pair)
  await watch.write({ seed: 1, operations: 150 })
  await watch.judge(t, 'a sound replication')
  t.ok(watch.sampler.samples > 0 && watch.reader.reads > 0, 'they looked')
  const operations = await cloud.query<{ operation: string }>(
    'select distinct operation from oracle_log order by 1',
  )
  t.same(
    operations.rows.map((row) => row.operation),
    ['delete', 'insert', 'truncate', 'update'],
  )

  await t.test('equality: a row that differs, one that is missing, one that is too much', async (t) => {
    await plant(
      cloud,
      `update lexicon set documents = documents + 1 where term = 1; delete from lexicon where term = 2;
       insert into lexicon values (77, 1)`,
    )
    t.same(await compareRows(primary, cloud), [
      'lexicon [1] differs',
      'lexicon [2] is missing in the cloud',
      'lexicon [77] is only in the cloud',
    ])
  })

  await t.test('once: an update that took effect twice leaves the rows equal', async (t) => {
    await primary.query('update models set dimensions = dimensions where id = 1')
    await passFence(primary, cloud)
    await plant(cloud, 'update models set dimensions = dimensions where id = 1')
    const found = await compareOnce(primary, cloud)
    t.match(found.join('\n'), /^models 1: made update:(-?\d+), took effect update:\1 update:\1$/m)
  })

  await t.test('tear: a sum that does not hold, and a version that goes back', async (t) => {
    t.match(watch.reader.violations.join(), /^the bank holds/)
    const reader = new TearReader(cloud)
    const source = await cloud.query<{ id: string }>('select id from sources limit 1')
    for (const views of [5, 4]) {
      await plant(cloud, `update sources set views = ${views} where id = ${source.rows[0]?.id}`)
      const before = reader.reads
      while (reader.reads < before + 2) await sleep(5)
    }
    await reader.stop()
    t.match(reader.violations.join('\n'), /^source \d+ went back from 5 to 4$/m)
  })

  await t.test('ledger: lost, invented and changed operations', async (t) => {
    const ledger = new Ledger(join(temporaryFolder(t), 'ledger'))
    const outcomes = ['acked', 'failed', 'acked', 'info'] as const
    const rows = outcomes.map((outcome, at) => {
      const { operation, row } = ledger.begin(`payload ${at}`)
      if (outcome !== 'info') ledger.end(operation, outcome)
      return row
    })
    ledger.close()
    await plant(cloud, `delete from verifications where table_name like 'operation %'`)
    const insert = (name: string, hash: string) =>
      plant(cloud, `insert into verifications values ('${name}', 'match', ${hash}, '0/0', now())`)
    for (const at of [1, 3]) await insert(...(rows[at] as [string, string]))
    t.same(await compareLedger(ledger, cloudUrl, 'the cloud'), [
      'the cloud lost operation 1',
      'the cloud has failed operation 2',
      'the cloud lost operation 3',
    ])
    await insert(rows[0]?.[0] ?? '', '5')
    await insert(`${ledger.prefix} 9`, '5')
    t.match((await compareLedger(ledger, cloudUrl, 'the cloud')).join(), /changed operation 1.*operation 9/)
  })

  await t.test('slot: past the cloud, and not past the spool', async (t) => {
    const { confirmed } = watch.sampler.last ?? { confirmed: '0/0' }
    await cloud.query('update relay_progress set end_lsn = $1', [formatLsn(parseLsn(confirmed) - 1n)])
    const strict = new SlotSampler({ primary, cloud, slot: slot })
    const spooling = new SlotSampler({
      primary,
      cloud,
      slot: slot,
      spoolEnd: () => Promise.resolve('FFFFFFFF/0'),
    })
    while (strict.samples === 0 || spooling.samples === 0) await sleep(10)
    await Promise.all([strict.stop(), spooling.stop()])
    t.match(strict.violations[0], /^the slot is at/)
    t.same(spooling.violations, [])
  })
})
