import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { migrate } from '../../../../core/migrate.ts'
import { reseed } from '../../../../replication/relay/setup/reseed.ts'
import { privateCluster } from '../../../support/clusters.ts'
import { temporaryFolder, until } from '../../../support/api.ts'
import { createDatabase, queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { runOps } from '../../../support/relay-pair.ts'
import { dropRole } from '../../../support/roles.ts'
import { withRole } from '../../support.ts'
import { fillTalks } from '../seed/support.ts'
import { createRelaySetup, log, opsSettings } from './support.ts'

t.test('a primary that shuts the role out, and one that throws away the log of the slot', async (t) => {
  const home = await privateCluster(t)
  await queryRows(home.superuserUrl(), 'create database homeport')
  const primaryUrl = home.superuserUrl('homeport')
  await migrate(primaryUrl)
  const databases = async () => ({ primaryUrl, cloudUrl: await createDatabase(t, 'cloud') })
  const pair = await createRelaySetup(t, { databases })
  const role = new URL(pair.replicationUrl).username
  t.teardown(() => dropRole(home.superuserUrl('homeport'), role))

  await t.test('pg_hba.conf as it may be after a native subscription', async (t) => {
    const file = join(home.folder, 'data/pg_hba.conf')
    const before = readFileSync(file, 'utf8')
    writeFileSync(file, `host all ${role} all reject\n${before}`)
    const reload = () => queryRows(home.superuserUrl(), 'select pg_reload_conf()')
    await reload()
    const shutOut = { code: 'REPLICATION_NOT_ADMITTED', exitCode: 2, hint: /pg_hba\.conf of the primary/ }
    await until(
      () => pair.setUp({ dryRun: true }).then(() => pair.setUp().catch((error: unknown) => error)),
      (outcome) => (outcome as { code?: string }).code === shutOut.code,
    )
    await t.rejects(pair.setUp(), shutOut)
    t.strictSame(await queryRows(primaryUrl, 'select from pg_replication_slots'), [])
    writeFileSync(file, before)
    await reload()
  })

  await t.test('max_slot_wal_keep_size', async (t) => {
    await fillTalks(pair.primary, 1, 100)
    await until(
      () => pair.setUp().catch((error: unknown) => error),
      (outcome) => (outcome as { code?: string }).code === undefined,
    )
    await queryRows(home.superuserUrl(), `alter system set max_slot_wal_keep_size = '1MB'`)
    await queryRows(home.superuserUrl(), 'select pg_reload_conf()')
    await fillTalks(pair.primary, 101, 110)
    await until(
      async () => {
        await pair.primary.query(
          `select pg_logical_emit_message(false, 'x', repeat('x', 20000000)), pg_switch_wal()`,
        )
        await pair.primary.query('checkpoint')
        return queryRows<{ status: string }>(
          primaryUrl,
          'select wal_status as status from pg_replication_slots',
        )
      },
      ([slot]) => slot?.status === 'lost',
    )
    await t.rejects(pair.setUp(), { code: 'SLOT_LOST', hint: /ops reseed/ })
    const way = { kind: 'direct', relayUrl: pair.relayUrl } as const
    const again = { ...pair.urls, way, log }
    await t.rejects(reseed({ ...again, tables: ['segments'] }), { code: 'SLOT_LOST', hint: /without names/ })
    await queryRows(home.superuserUrl(), 'alter system reset max_slot_wal_keep_size')
    await queryRows(home.superuserUrl(), 'select pg_reload_conf()')
    await reseed(again)
    await fillTalks(pair.primary, 111, 120)
    const settings = { ...opsSettings(pair), RELAY_STATE_PATH: temporaryFolder(t), RELAY_PORT: '0' }
    await runOps({ args: ['relay', '--until-caught-up'], settings })
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  })
})

t.test('sessions that the relay could not trust', async (t) => {
  const pair = await createRelaySetup(t)
  const careless = new URL(pair.relayUrl)
  careless.searchParams.set('options', '-c synchronous_commit=off')
  const relayUrl = careless.href
  await t.rejects(pair.setUp({ relayUrl, way: { kind: 'direct', relayUrl } }), {
    code: 'SYNCHRONOUS_COMMIT_OFF',
    exitCode: 2,
  })
  const { username } = new URL(pair.relayUrl)
  await queryRows(pair.cloudUrl, `alter role ${username} set default_transaction_read_only = on`)
  await t.rejects(pair.setUp(), { code: 'CLOUD_READ_ONLY', exitCode: 2 })
  await queryRows(pair.cloudUrl, `alter role ${username} reset default_transaction_read_only`)
  t.strictSame(await queryRows(pair.cloudUrl, 'select from relay_progress'), [], 'nothing was copied')
  // Where the api and the gateway run is not here: what cannot be reached from here says nothing.
  const gatewayUrl = withRole(pair.gatewayUrl, new URL(pair.gatewayUrl).username, 'x').replace(
    /:\d+\//,
    ':1/',
  )
  const report = await pair.setUp({ gatewayUrl })
  t.notOk(report.warnings.some((one) => one.code.startsWith('GATEWAY')))
})
