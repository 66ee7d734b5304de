import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { temporaryFolder } from '../support/api.ts'
import { queryRows } from '../support/databases.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, runOps, startRelay } from '../support/relay-pair.ts'
import { stopsWith } from './support.ts'

// Row 29.
t.test('two relays at once', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const first = startRelay(t, pair)
  await passFence(pair.primary, pair.cloud)
  const elsewhere = { RELAY_STATE_PATH: join(temporaryFolder(t), 'relay') }
  const writing = watch.write({ seed: 1, operations: 40 })

  await t.test('the second one, on another machine, ends and says who holds it', async (t) => {
    const second = startRelay(t, pair, { settings: elsewhere, args: ['--json'] })
    t.equal(await second.ends(), 1)
    t.match(second.stderr, /"code":"(?:RELAY_HELD|SLOT_HELD)"/)
    t.match(second.stderr, /since/)
    t.notOk(first.hasEnded)
  })

  await t.test('the second one, over the same state folder', async (t) => {
    const second = startRelay(t, pair, { args: ['--json'] })
    t.equal(await second.ends(), 1)
    t.match(second.stderr, /"code":"STATE_FOLDER_HELD"/)
    t.notOk(first.hasEnded)
  })

  await writing
  await watch.judge(t, 'the first went on')

  await t.test('frozen past its lease, replaced, and thawed: it may not write any more', async (t) => {
    const role = new URL(pair.settings['REPLICATION_DATABASE_URL'] ?? '').username
    await pair.primary.query(`alter role ${role} set wal_sender_timeout = '3s'`)
    first.signal('SIGSTOP')
    await watch.write({ seed: 2, operations: 10 })
    const until = Date.now() + 180_000
    let second = startRelay(t, pair, { settings: elsewhere })
    // It holds the slot until the primary gives it up, and the lease until that ends.
    while (Date.now() < until) {
      const hasPassed = passFence(pair.primary, pair.cloud, 5_000).then(
        () => true,
        () => false,
      )
      if ((await Promise.race([second.exited, hasPassed])) === true) break
      // On a busy machine it may not even have begun.
      if (!second.hasEnded) continue
      await sleep(2_000)
      second = startRelay(t, pair, { settings: elsewhere })
    }
    first.signal('SIGCONT')
    await watch.write({ seed: 3, operations: 10 })
    t.equal(await first.ends(), 1)
    t.match(first.stderr, /RELAY_FENCED|RELAY_HELD|SLOT_HELD|another relay/)
    await watch.judge(t, 'the second goes on')
    await second.terminate()
  })
})

// Row 12.
t.test('a slot that somebody else reads, that was made anew, that is gone', async (t) => {
  const pair = await createRelayPair(t)
  const { primary, slot } = pair
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair)
  await watch.write({ seed: 1, operations: 10 })
  await watch.judge(t, 'at first')
  await relay.terminate()

  await t.test('somebody takes from it without anybody noticing', async (t) => {
    await watch.write({ seed: 2, operations: 5 })
    await primary.query(
      `select from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', 'homeport')`,
      [slot],
    )
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'SLOT_RECREATED', message: /made anew,? or read/ })
  })

  await t.test('it was dropped', async (t) => {
    await primary.query('select pg_drop_replication_slot($1)', [slot])
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'SLOT_MISSING', message: new RegExp(slot) })
    await sleep(50)
    const found = await primary.query('select from pg_replication_slots where slot_name = $1', [slot])
    t.equal(found.rowCount, 0, 'it was not made again behind our back')
  })

  await t.test('ops reseed makes both sides equal again', async (t) => {
    await runOps({ args: ['reseed', '--yes'], settings: pair.settings })
    const going = startRelay(t, pair)
    await passFence(pair.primary, pair.cloud)
    const again = await watchPair(t, { ...pair, slot: await currentSlot(pair.cloudUrl) })
    await again.write({ seed: 3, operations: 20 })
    await again.judge(t, 'after the new copy')
    await going.terminate()
  })
})

async function currentSlot(cloudUrl: string): Promise<string> {
  const rows = await queryRows<{ slot: string }>(cloudUrl, 'select slot from relay_progress')
  return rows[0]?.slot ?? ''
}

t.test('settings that lead to the wrong place', async (t) => {
  const pair = await createRelayPair(t)
  const relayRole = new URL(pair.settings['RELAY_DATABASE_URL'] ?? '').username
  const refused = async (settings: Record<string, string>, code: RegExp): Promise<void> => {
    const relay = startRelay(t, pair, { settings, args: ['--json'] })
    t.equal(await relay.ends(), 2, relay.stderr)
    t.match(relay.stderr, code)
    t.notMatch(relay.stderr + relay.stdout, /it's a|it%27s/, 'no password is shown')
  }
  // Row 49.
  await t.test('the primary as its own cloud', () =>
    refused({ RELAY_DATABASE_URL: pair.primaryUrl }, /"code":"SAME_SERVER"/),
  )
  await t.test('both addresses swapped', () =>
    refused(
      { RELAY_DATABASE_URL: pair.primaryUrl, REPLICATION_DATABASE_URL: pair.cloudUrl },
      /"code":"NOT_SET_UP"/,
    ),
  )
  await t.test('the cloud as the primary', () =>
    refused({ REPLICATION_DATABASE_URL: pair.cloudUrl }, /"code":"(?:SAME_SERVER|NOT_SET_UP)"/),
  )
  await t.test('nothing at all', () =>
    refused({ REPLICATION_DATABASE_URL: '', RELAY_DATABASE_URL: '' }, /"code":"CONFIG_MISSING"/),
  )
  // Row 39.
  await t.test('a role whose commits do not last', async (t) => {
    await pair.cloud.query(`alter role ${relayRole} set synchronous_commit = off`)
    const relay = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, relay, {
      code: 'SYNCHRONOUS_COMMIT_OFF',
      message: /synchronous_commit/,
      exitCode: 2,
    })
  })
})
