import t from 'tap'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { startTransactionPooler } from '../support/transaction-pooler.ts'

// Row 40, with a pooler of our own that shows what one in transaction mode shows.
t.test('a transaction pooler in the path', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const { REPLICATION_DATABASE_URL: homeUrl = '', RELAY_DATABASE_URL: cloudUrl = '' } = pair.settings

  await t.test('to the cloud: nothing hangs on a session', async (t) => {
    const pooler = await startTransactionPooler(t, cloudUrl)
    const relay = startRelay(t, pair, { settings: { RELAY_DATABASE_URL: pooler.through(cloudUrl) } })
    await watch.write({ seed: 1, operations: 40 })
    await watch.judge(t, 'every transaction on another session')
    t.ok(pooler.transactions > 0)
    t.match(await relay.terminate(), { code: 0 }, relay.stderr)
  })

  await t.test('to the primary: it cannot work, and the relay says why', async (t) => {
    const pooler = await startTransactionPooler(t, homeUrl)
    const relay = startRelay(t, pair, {
      settings: { REPLICATION_DATABASE_URL: pooler.through(homeUrl) },
      args: ['--json'],
    })
    t.not(await relay.ends(), 0)
    t.match(relay.stderr, /"code":"POOLED_CONNECTION"/)
  })
})
