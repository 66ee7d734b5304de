import { join } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../support/api.ts'
import { createDatabase, queryRows, uniqueName } from '../support/databases.ts'
import { gatewaySettings, startGateway } from '../support/gateway-process.ts'
import { compareRows } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { startOps } from '../support/ops-process.ts'
import { open } from './migrate-support.ts'
import { createRelayPair, runOps, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { dropRole } from '../support/roles.ts'
import { apply, insert, isMarked, promote, provesPrimary } from './promote-support.ts'
import { stopsWith } from './support.ts'

// Row 57.
t.test('home lives and its relay runs', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair, { args: ['--json'] })
  await watch.write({ seed: 1, operations: 30 })
  // As the setup by an owner who may not switch foreign keys off leaves it.
  await pair.cloud.query('alter table segments drop constraint segments_source_id_visibility_fkey')
  await pair.cloud.query('alter table segments disable trigger segments_bury')

  await t.test('killed at every step, and run again each time', async (t) => {
    const before = ['after-fence', 'after-drain', 'after-proof']
    for (const name of before) {
      t.equal((await promote(t, pair, apply, `promote.${name}:1:kill`)).code, 137, name)
      t.notOk(await isMarked(pair), 'the cloud follows')
      await t.rejects(pair.primary.query(insert, [1]), { code: '25006' }, 'home stays fenced')
    }
    const cancelled = await promote(t, pair, ['--cancel'])
    t.equal(cancelled.code, 0, cancelled.stderr)
    await pair.primary.query(insert, [2])
    t.notOk(relay.hasEnded)
    // After the mark, and then at every second step: each is a statement of its own.
    let outcome = await promote(t, pair, apply, 'promote.after-step:1:kill')
    t.equal(outcome.code, 137, outcome.stderr)
    for (let runs = 0; outcome.code === 137 && runs < 10; runs += 1) {
      t.ok(await isMarked(pair))
      t.equal(
        (await pair.cloud.query('select from lexicon where term = 1000002')).rowCount,
        1,
        'the last row came',
      )
      outcome = await promote(t, pair, apply, 'promote.after-step:2:kill')
    }
    t.equal(outcome.code, 0, outcome.stderr)
    const done = await promote(t, pair, apply)
    t.match(done, { code: 0, value: { applied: true, mode: 'promoted', steps: [] } }, done.stderr)
  })

  await t.test('the relay that ran ends, and so does one that is started again, by both ways', async (t) => {
    await stopsWith(t, pair, relay, { code: 'PROMOTED', message: /is a primary of its own/ })
    const again = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, again, { code: 'PROMOTED', message: /takes nothing from slot/ })
    const { url } = await startGateway(t, pair)
    const through = startRelay(t, pair, { args: ['--json'], settings: await gatewaySettings(pair, url) })
    await stopsWith(t, pair, through, { code: 'PROMOTED', message: /takes nothing from slot/ })
    const reseed = startOps(t, { args: ['reseed', '--yes', '--json'], settings: pair.settings })
    t.equal(await reseed.ends(), 2)
    t.match(reseed.stderr, /PROMOTED|SIDES_SWAPPED/)
    const setUp = startOps(t, { args: ['setup-replication', '--mode', 'relay'], settings: pair.settings })
    t.equal(await setUp.ends(), 2)
    t.match(setUp.stderr, /primary/)
  })

  const differing = await compareRows(pair.primary, pair.cloud)
  t.same(
    differing.filter((one) => !/^(?:heartbeat|verifications) /.test(one)),
    [],
    'nothing was lost',
  )
  t.equal(
    (await queryRows(pair.primaryUrl, 'select from pg_replication_slots where database = current_database()'))
      .length,
    0,
  )
  await provesPrimary(t, pair)

  await t.test('and back again: the old home is refused with its rows, a new one follows', async (t) => {
    const refused = startOps(t, {
      args: ['setup-replication', '--mode', 'relay'],
      settings: turned(t, pair, pair.primaryUrl),
    })
    t.equal(await refused.ends(), 2)
    t.match(refused.stderr, /SIDES_SWAPPED|leads to a primary|have rows/)
    const otherUrl = await createDatabase(t, 'primary')
    const settings = turned(t, pair, otherUrl)
    await runOps({ args: ['setup-replication', '--mode', 'relay'], settings })
    startOps(t, { args: ['relay'], settings })
    await pair.cloud.query(insert, [3])
    const verified = await runOps({ args: ['verify'], settings })
    t.match(verified, /lexicon +match/)
    t.notMatch(verified, /drift|undetermined/)
    t.equal((await queryRows(otherUrl, 'select from lexicon where term = 1000003')).length, 1)

    // And home again: what was written on either side on the way is there, and goes on to the next cloud.
    const back = await promote(t, { settings }, apply)
    t.match(back, { code: 0, value: { mode: 'relay', home: 'alive', loss: { kind: 'none' } } }, back.stderr)
    const other = open(t, otherUrl)
    t.same(
      (await compareRows(pair.primary, other)).filter(
        (one) => !/^(?:heartbeat|verifications|tombstones) /.test(one),
      ),
      ['lexicon [1000003] is only in the cloud'],
      'all that the first home had, and what came since',
    )
    await provesPrimary(t, { cloud: other, settings }, -8)
    await t.rejects(pair.cloud.query(insert, [4]), { code: '25006' }, 'the cloud of before takes no writes')
    t.match(await promote(t, pair, []), { code: 0 }, 'nor do the first settings change anything')
    await other.query(insert, [5])
    const thirdUrl = await createDatabase(t, 'cloud')
    const third = turned(t, { ...pair, cloudUrl: otherUrl }, thirdUrl)
    await runOps({ args: ['setup-replication', '--mode', 'relay'], settings: third })
    startOps(t, { args: ['relay'], settings: third })
    t.notMatch(await runOps({ args: ['verify'], settings: third }), /drift|undetermined/)
    const terms = await queryRows(thirdUrl, 'select term from lexicon where term > 1000002 order by 1')
    t.same(terms, [{ term: 1000003 }, { term: 1000005 }])
  })
})

/** Settings with the promoted cloud as primary and another database as its cloud, with roles of their own. */
function turned(t: Test, pair: RelayPair, otherUrl: string): Record<string, string> {
  const role = (url: string, name: string): string => {
    const changed = new URL(url)
    changed.username = uniqueName(name)
    changed.password = 'secret'
    t.teardown(() => dropRole(url, changed.username))
    return changed.href
  }
  return {
    LOCAL_DATABASE_URL: pair.cloudUrl,
    PRODUCTION_DATABASE_URL: otherUrl,
    REPLICATION_DATABASE_URL: role(pair.cloudUrl, 'replication'),
    DATABASE_URL: role(otherUrl, 'reader'),
    RELAY_DATABASE_URL: role(otherUrl, 'relay'),
    RELAY_STATE_PATH: join(temporaryFolder(t), 'relay'),
    RELAY_PORT: '0',
  }
}
