import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../support/api.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair, type Watch } from '../support/oracles/watch.ts'
import type { OpsProcess } from '../support/ops-process.ts'
import { createRelayPair, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { isFull, stopsWith } from './support.ts'

interface Linked {
  pair: RelayPair
  watch: Watch
  home: TcpProxy
  cloud: TcpProxy
  start: (options?: Parameters<typeof startRelay>[2]) => OpsProcess
}

/** A pair whose relay reaches both sides through proxies; a silent primary is noticed within 3 s. */
async function openLinks(t: Test): Promise<Linked> {
  const pair = await createRelayPair(t)
  const { REPLICATION_DATABASE_URL: homeUrl = '', RELAY_DATABASE_URL: cloudUrl = '' } = pair.settings
  await pair.primary.query(`alter role ${new URL(homeUrl).username} set wal_sender_timeout = '3s'`)
  const home = await startTcpProxy(t, homeUrl)
  const cloud = await startTcpProxy(t, cloudUrl)
  const settings = {
    REPLICATION_DATABASE_URL: home.through(homeUrl),
    RELAY_DATABASE_URL: cloud.through(cloudUrl),
  }
  return {
    pair,
    watch: await watchPair(t, pair),
    home,
    cloud,
    start: (options) => startRelay(t, pair, { ...options, settings }),
  }
}

t.test('over bad lines', async (t) => {
  const { pair, watch, home, cloud, start } = await openLinks(t)
  const relay = start()
  await passFence(pair.primary, pair.cloud)

  // Row 20.
  await t.test('a cable that is cut under writes, and comes back', async (t) => {
    for (const proxy of [home, cloud]) proxy.set({ isStalled: true })
    const writing = watch.write({ seed: 1, operations: 60 })
    await sleep(isFull ? 14_000 : 4_000)
    for (const proxy of [home, cloud]) proxy.set()
    await writing
    await watch.judge(t, 'healed')
  })

  await t.test('connections that are reset again and again', async (t) => {
    const writing = watch.write({ seed: 2, operations: isFull ? 400 : 60 })
    for (let reset = 0; reset < (isFull ? 20 : 4); reset += 1) {
      await sleep(150)
      ;(reset % 2 === 0 ? home : cloud).resetAll()
    }
    await writing
    await watch.judge(t, 'healed')
  })

  // Row 22.
  await t.test('frames in slices of a few bytes', async (t) => {
    for (const proxy of [home, cloud]) proxy.set({ sliceBytes: 61 })
    await watch.write({ seed: 3, operations: isFull ? 40 : 6 })
    await watch.judge(t, 'every byte on its own')
    for (const proxy of [home, cloud]) proxy.set()
  })

  await t.test('a line so narrow that the log piles up', async (t) => {
    cloud.set({ bytesPerSecond: 100_000, latencyMs: 100 })
    await watch.write({ seed: 4, operations: 200 })
    await watch.judge(t, 'through the eye of a needle', 300_000)
    cloud.set()
    t.ok(relay.rssPeakMb < 300, `${relay.rssPeakMb} MB`)
  })
})

// Row 21.
t.test('a primary that a middlebox forgot is noticed, and read again', async (t) => {
  const { pair, watch, home, start } = await openLinks(t)
  const relay = start()
  await passFence(pair.primary, pair.cloud)
  home.set({ isBlackhole: true })
  const accepted = home.accepted
  await watch.write({ seed: 5, operations: 20 })
  await until(
    async () => home.accepted,
    (now) => now > accepted,
    60_000,
  )
  home.set()
  await watch.judge(t, 'over a new connection')
  t.notOk(relay.hasEnded)
})

t.test('a cloud that a middlebox forgot', async (t) => {
  const { pair, watch, cloud, start } = await openLinks(t)
  start()
  await passFence(pair.primary, pair.cloud)
  const writing = watch.write({ seed: 6, operations: 200 })
  await sleep(500)
  // The server keeps what the relay had open there, and its locks, for as long as its own limits let it.
  cloud.set({ isBlackhole: true })
  await writing
  await sleep(2_000)
  cloud.set()
  await watch.judge(t, 'over a new connection', 300_000)
})

// Row 30. The lengths around it are right, so only the decoder can notice.
t.test('damaged messages of the log stop the relay before anything is acknowledged', async (t) => {
  const { pair, watch, home, start } = await openLinks(t)
  const damages: [what: string, damage: (insert: Buffer) => void][] = [
    ['an unknown tag', (insert) => insert.write('?', 0)],
    ['more columns than there are bytes', (insert) => insert.writeInt16BE(0x7fff, 6)],
    ['an unknown kind of value', (insert) => insert.write('?', 8)],
  ]
  for (const [what, damage] of damages) {
    home.mangle = onInserts(damage)
    const relay = start({ args: ['--json'] })
    const before = await confirmedLsn(pair)
    await pair.primary.query('insert into tombstones (segment_id) values (1)')
    await stopsWith(t, pair, relay, { code: 'PGOUTPUT_DAMAGED', message: /./ })
    t.equal(await confirmedLsn(pair), before, what)
    home.mangle = (bytes) => bytes
  }
  start()
  await watch.judge(t, 'over a sound line')
})

async function confirmedLsn(pair: RelayPair): Promise<string | undefined> {
  const { rows } = await pair.primary.query<{ confirmed: string }>(
    'select confirmed_flush_lsn as confirmed from pg_replication_slots where slot_name = $1',
    [pair.slot],
  )
  return rows[0]?.confirmed
}

/** Finds insert messages in what a walsender sends: CopyData (d, length), XLogData (w, three positions), I. */
function onInserts(damage: (insert: Buffer) => void): (bytes: Buffer) => Buffer {
  return (bytes) => {
    for (let at = 0; at + 31 <= bytes.length;) {
      const length = bytes.readInt32BE(at + 1)
      const isLog = bytes[at] === 0x64 && bytes[at + 5] === 0x77
      if (isLog && bytes[at + 30] === 0x49) damage(bytes.subarray(at + 30, at + 1 + length))
      at += 1 + Math.max(4, length)
    }
    return bytes
  }
}
