import t from 'tap'
import { choosePort } from '../../../../ops/local/ports.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { startOps } from '../../../support/ops-process.ts'
import { runOps } from '../../../support/relay-pair.ts'
import { ops } from '../../../ops/commands/support.ts'
import { fillTalks } from '../seed/support.ts'
import { createRelaySetup, opsSettings } from './support.ts'

t.test('the copy goes through the gateway, and a table again', async (t) => {
  const pair = await createRelaySetup(t)
  await fillTalks(pair.primary, 1, 200)
  const settings = opsSettings(pair)
  delete settings['RELAY_DATABASE_URL']
  const port = String(await choosePort())
  const key = (await runOps({ args: ['keys', 'create', '--client', 'home'], settings })).trim()
  const atHome = { ...settings, PRODUCTION_API_URL: `http://127.0.0.1:${port}`, PRODUCTION_API_KEY: key }
  const words = ['setup-replication', '--mode', 'relay', '--via', 'gateway']

  // The gateway cannot run before its role is there; then the same command goes on.
  const early = await ops(atHome, ...words)
  t.match(early, { exitCode: 1, stderr: /gateway/ })
  t.strictSame(
    await queryRows(pair.primaryUrl, 'select from pg_replication_slots where database = current_database()'),
    [],
  )
  const gateway = startOps(t, {
    args: ['gateway', '--json'],
    settings: { GATEWAY_DATABASE_URL: pair.gatewayUrl, GATEWAY_PORT: port },
  })
  await gateway.answered(/"url"/)
  const done = await ops(atHome, ...words, '--json')
  t.equal(done.exitCode, 0, done.stderr)
  t.match(JSON.parse(done.stdout), { mode: 'relay', changed: true, copy: { rows: 4 * 180 + 1 } })
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  t.match(await ops(atHome, ...words), { exitCode: 0, stdout: /^Nothing to change/ })

  await fillTalks(pair.primary, 201, 220)
  t.match(await ops(atHome, 'reseed', 'segments', '--yes', '--via', 'gateway'), {
    exitCode: 0,
    stdout: /^Copied 198 rows/,
  })
  const relay = { ...atHome, RELAY_STATE_PATH: temporaryFolder(t), RELAY_PORT: '0' }
  await runOps({ args: ['relay', '--until-caught-up'], settings: relay })
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})
