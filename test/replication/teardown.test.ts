import t from 'tap'
import { loadSql } from '../../core/sql.ts'
import { choosePort } from '../../ops/local/ports.ts'
import { setupReplication } from '../../replication/setup.ts'
import { teardownReplication } from '../../replication/teardown.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { queryRows } from '../support/databases.ts'
import { createReplication, insertTalk, segmentIds, type Replication } from './support.ts'

/** What a setup leaves behind on both sides. */
async function traces(pair: Replication): Promise<unknown[]> {
  const onPrimary = `select slot_name::text as name from pg_replication_slots where database = current_database()
    union all select pubname::text from pg_publication`
  const onCloud = `select subname::text as name from pg_subscription
    where subdbid = (select oid from pg_database where datname = current_database())`
  return [...(await queryRows(pair.primaryUrl, onPrimary)), ...(await queryRows(pair.cloudUrl, onCloud))]
}

async function unreachable(url: string): Promise<string> {
  const changed = new URL(url)
  changed.searchParams.delete('host')
  changed.hostname = '127.0.0.1'
  changed.port = String(await choosePort())
  return changed.href
}

t.test(
  'subscription, slot, publication and roles go, content stays, and a second run finds nothing',
  async (t) => {
    const pair = await createReplication(t)
    await insertTalk(pair.primary, { id: 1 })
    await waitForCloud(pair)
    const report = await teardownReplication({ ...pair, roles: pair })
    t.strictSame(report.left, [])
    t.equal(report.removed.length, 5)
    t.strictSame(await traces(pair), [])
    t.strictSame(await segmentIds(pair.cloud), ['1'])
    t.strictSame(await segmentIds(pair.primary), ['1'])
    const roles = [[new URL(pair.readerUrl).username, new URL(pair.replicationUrl).username]]
    const left = 'select rolname from pg_roles where rolname = any ($1)'
    t.strictSame(await queryRows(pair.cloudUrl, left, roles), [])
    t.strictSame(await queryRows(pair.primaryUrl, left, roles), [])
    t.strictSame(await teardownReplication({ ...pair, roles: pair }), { removed: [], restored: [], left: [] })
  },
)

t.test('with the primary gone, the cloud is freed and the rest is told; later it is done', async (t) => {
  const pair = await createReplication(t)
  const report = await teardownReplication({ ...pair, primaryUrl: await unreachable(pair.primaryUrl) })
  t.strictSame(report.removed, ['subscription homeport'])
  t.strictSame(
    report.left.map((one) => [one.side, one.sql]),
    [
      ['primary', `select pg_drop_replication_slot('${pair.report.slot}')`],
      ['primary', 'drop publication if exists "homeport"'],
    ],
  )
  t.match(report.left[0]?.reason, /nothing listens there/)
  const later = await teardownReplication(pair)
  t.strictSame(later, {
    removed: [`slot ${pair.report.slot}`, 'publication homeport'],
    restored: [],
    left: [],
  })
  t.strictSame(await traces(pair), [])
})

t.test('with the cloud gone, the slot is dropped although it is in use', async (t) => {
  const pair = await createReplication(t)
  const report = await teardownReplication({ ...pair, cloudUrl: await unreachable(pair.cloudUrl) })
  t.strictSame(report.removed, [`slot ${pair.report.slot}`, 'publication homeport'])
  t.strictSame(
    report.left.map((one) => one.sql),
    [
      'alter subscription "homeport" disable',
      'alter subscription "homeport" set (slot_name = none)',
      'drop subscription "homeport"',
      loadSql('replication/forget-relay'),
    ],
  )
  t.match(
    await setupReplication(pair).catch((error: unknown) => error),
    { code: 'SLOT_LOST' },
    'a subscription whose slot is gone is not passed off as sound',
  )
  for (const one of report.left) await pair.cloud.query(one.sql)
  t.strictSame(await traces(pair), [])
})
