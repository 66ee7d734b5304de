import { openSync, closeSync, existsSync } from 'node:fs'
import t from 'tap'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { isFull } from './support.ts'

async function positions(pair: RelayPair): Promise<{ confirmed?: string; progress?: string }> {
  const slot = await pair.primary.query<{ confirmed: string }>(
    'select confirmed_flush_lsn as confirmed from pg_replication_slots where slot_name = $1',
    [pair.slot],
  )
  const progress = await pair.cloud.query<{ progress: string }>(
    'select end_lsn as progress from relay_progress',
  )
  return { ...slot.rows[0], ...progress.rows[0] }
}

// Row 51.
t.test('SIGTERM under load: what is in hand is finished, and the acknowledgement is exact', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  for (const seed of isFull ? [1, 2, 3, 4, 5] : [1]) {
    const relay = startRelay(t, pair)
    await passFence(pair.primary, pair.cloud)
    const writing = watch.write({ seed, operations: 60 })
    await watch.write({ seed: seed + 10, operations: 5 })
    const started = performance.now()
    t.match(await relay.terminate(), { code: 0 }, relay.stderr)
    t.ok(performance.now() - started < 10_000)
    const { confirmed, progress } = await positions(pair)
    t.equal(confirmed, progress)
    await writing
  }

  await t.test(
    'a full disk under the log',
    { skip: existsSync('/dev/full') ? false : 'no /dev/full' },
    async (t) => {
      const full = openSync('/dev/full', 'w')
      const relay = startRelay(t, pair, { stderr: full })
      closeSync(full)
      await watch.write({ seed: 3, operations: 20 })
      await watch.judge(t, 'it goes on without a log')
      t.match(await relay.terminate(), { code: 0 })
    },
  )

  if (!isFull) return
  await t.test('a second signal does not lose anything either', async (t) => {
    await watch.write({ seed: 4, operations: 10 })
    const relay = startRelay(t, pair, { failpoint: 'relay.before-commit:1:wait' })
    await relay.said(/failpoint/)
    relay.signal('SIGTERM')
    await new Promise((go) => setTimeout(go, 1_200))
    relay.signal('SIGTERM')
    t.not((await relay.exited).code, 0)
    startRelay(t, pair)
    await watch.judge(t, 'started again')
  })
})
