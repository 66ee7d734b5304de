import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { watchPair } from '../support/oracles/watch.ts'
import { pick, randomNumbers } from '../support/random.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { seeds } from './support.ts'

// Row 15 of the fault catalogue: the relay dies before it applies, in the middle of a batch, before its
// COMMIT, after it, and after the acknowledgement, while several sessions write. It is started again until
// it lives; then every oracle is asked.
const places = [
  'relay.before-apply',
  'relay.mid-batch',
  'relay.before-commit',
  'relay.after-commit',
  'relay.after-ack',
] as const

t.test('killed at any point, every change takes effect once, in order, whole', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  for (const seed of seeds({ quick: 3, full: 200 })) {
    await t.test(`npm run test:faults -- --seed ${seed} test/faults/crash.test.ts`, async (t) => {
      const random = randomNumbers(seed)
      const writing = watch.write({ seed, operations: 40 })
      const deaths: string[] = []
      const crashes = 1 + pick(random, 2)
      for (let crash = 0; crash < crashes; crash += 1) {
        // Each of the first seeds has a place of its own.
        const place = places[(seed + crash) % places.length] ?? places[0]
        const failpoint = `${place}:${1 + pick(random, 4)}:kill`
        const doomed = startRelay(t, pair, { failpoint })
        // A place that is never passed so often: it dies anywhere.
        const outcome = await Promise.race([doomed.exited, sleep(4_000)])
        await doomed.kill()
        deaths.push(outcome === undefined ? `${failpoint}, late` : failpoint)
        if (outcome !== undefined) t.equal(outcome.signal, 'SIGKILL', doomed.stderr.slice(-2_000))
      }
      await writing
      const relay = startRelay(t, pair)
      await watch.judge(t, deaths.join(' '))
      t.match(await relay.terminate(), { code: 0 })
    })
  }
  t.ok(watch.sampler.samples > 0 && watch.reader.reads > 0)
})
