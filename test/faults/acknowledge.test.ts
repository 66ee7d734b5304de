import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { until } from '../support/api.ts'
import { privateCluster } from '../support/clusters.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { isFull, stopsWith } from './support.ts'

interface SlotState {
  confirmed: string
  /** everything written on this server is acknowledged */
  hasAll: boolean
  /** who reads the slot */
  pid: number | null
}

async function readSlot(pair: RelayPair): Promise<SlotState> {
  const { rows } = await pair.primary.query<SlotState>(
    `select confirmed_flush_lsn as confirmed, confirmed_flush_lsn >= pg_current_wal_insert_lsn() as "hasAll", active_pid as pid
     from pg_replication_slots where slot_name = $1`,
    [pair.slot],
  )
  return rows[0] as SlotState
}

// Row 16. Two transactions whose commit records touch: the end of the first is the start of the second. An
// acknowledgement of one byte more than the first one's end silently gives up the second.
t.test('of two adjacent commits the first is acknowledged, the relay dies, the second arrives', async (t) => {
  // On a server of its own, where nobody else writes between the two.
  const pair = await createRelayPair(t, { primaryCluster: await privateCluster(t) })
  const watch = await watchPair(t, pair)
  let relay = startRelay(t, pair)
  await passFence(pair.primary, pair.cloud)
  let adjacent = 0
  for (let round = 0; round < 12 && adjacent < (isFull ? 6 : 2); round += 1) {
    const [first, second] = await Promise.all([pair.primary.connect(), pair.primary.connect()])
    try {
      for (const [at, session] of [first, second].entries()) {
        await session.query('begin')
        await session.query('insert into tombstones (segment_id) values ($1)', [round * 10 + at])
      }
      await first.query('commit')
      const acknowledged = await until(
        () => readSlot(pair),
        ({ hasAll }) => hasAll,
        5_000,
      ).catch(() => undefined)
      await relay.kill()
      const before = await readSlot(pair)
      await second.query('commit')
      if (acknowledged !== undefined && before.hasAll) adjacent += 1
    } finally {
      first.release()
      second.release()
    }
    relay = startRelay(t, pair)
    await watch.judge(t, `round ${round}`)
  }
  t.ok(adjacent > 0, 'commits were adjacent')
})

t.test('what is acknowledged, and when', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const { REPLICATION_DATABASE_URL: homeUrl = '', RELAY_DATABASE_URL: cloudUrl = '' } = pair.settings
  await pair.primary.query(`alter role ${new URL(homeUrl).username} set wal_sender_timeout = '3s'`)

  // Row 17.
  await t.test(
    'behind an apply slower than every timer the slot stands still, and the link lives',
    async (t) => {
      const relay = startRelay(t, pair, { failpoint: 'relay.before-commit:1:wait' })
      await watch.write({ seed: 1, operations: 10 })
      await relay.said(/failpoint relay.before-commit wait/)
      const before = await readSlot(pair)
      const writing = watch.write({ seed: 2, operations: 20 })
      await sleep(isFull ? 30_000 : 7_000)
      await writing
      const after = await readSlot(pair)
      t.equal(after.confirmed, before.confirmed)
      t.equal(after.pid, before.pid, 'the same connection, past two timeouts')
      t.type(after.pid, 'number')
      relay.signal('SIGUSR2')
      await watch.judge(t, 'after it went on')
      await relay.terminate()
    },
  )

  // Row 18.
  await t.test(
    'an error that nobody foresaw ends the stream there, and nothing later is acknowledged',
    async (t) => {
      const relay = startRelay(t, pair, { failpoint: 'relay.mid-batch:2:throw', args: ['--json'] })
      await relay.said(/reading begins/)
      await passFence(pair.primary, pair.cloud)
      await watch.write({ seed: 3, operations: 20 })
      await stopsWith(t, pair, relay, { code: 'UNEXPECTED', message: /failpoint relay.mid-batch/ })
      const { confirmed } = await readSlot(pair)
      t.same(watch.sampler.violations, [])
      await watch.write({ seed: 4, operations: 5 })
      t.equal((await readSlot(pair)).confirmed, confirmed)
    },
  )

  // Row 19.
  await t.test('a COMMIT without an answer is settled by the progress', async (t) => {
    const proxy = await startTcpProxy(t, pair.cloudUrl)
    startRelay(t, pair, { settings: { RELAY_DATABASE_URL: proxy.through(cloudUrl) } })
    await watch.judge(t, 'started again')
    for (const isDelivered of [true, false, true, false].slice(0, isFull ? 4 : 2)) {
      const broken = proxy.resetWhenSent(/commit/i, { skip: isDelivered ? 0 : 1, isDelivered })
      const writing = watch.write({ seed: isDelivered ? 5 : 6, operations: 25 })
      await Promise.all([broken, writing])
      await watch.judge(t, isDelivered ? 'the COMMIT took place' : 'the COMMIT was lost')
    }
    const lost = proxy.resetWhenAnswered(/COMMIT\0/, { skip: 1 })
    await Promise.all([lost, watch.write({ seed: 7, operations: 25 })])
    await watch.judge(t, 'the answer was lost')
  })
})
