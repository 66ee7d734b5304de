import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { HomeportError } from '../../../core/errors.ts'
import type { Batch } from '../../../replication/relay/batch.ts'
import type { CloudLink } from '../../../replication/relay/cloud-link.ts'
import type { CloudSession } from '../../../replication/relay/cloud-side.ts'
import { Flow, type FlowOptions } from '../../../replication/relay/flow.ts'
import { openSpool } from '../../../replication/relay/spool/spool.ts'
import type { ReplicationStream } from '../../../replication/relay/stream/replication-stream.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { progressAt } from './relay-fixture.ts'
import { endOf, sampleBatch } from './spool/sample-batch.ts'

const log = pino({ level: 'silent' })

/** A stream of numbered batches that are handed in one by one, and what was acknowledged of them. */
class ScriptedStream {
  readonly acknowledged: string[] = []
  readonly queuedBytes = 0
  readonly #waiting: (Batch | Error)[] = []
  #wake: () => void = () => undefined
  #isEnded = false

  send(...batches: (Batch | Error)[]): void {
    this.#waiting.push(...batches)
    this.#wake()
  }

  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  look(): void {}

  hasHandedOut(): boolean {
    return true
  }

  async nextBatch(): Promise<Batch | null> {
    while (this.#waiting.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    const next = this.#waiting.shift() ?? null
    if (next instanceof Error) throw next
    return next
  }

  ackDurable(endLsn: string): void {
    this.acknowledged.push(endLsn)
  }

  async close(): Promise<void> {
    this.end()
  }
}

/** A flow between a scripted stream, a real spool and a cloud that is there or not. */
async function setUp(t: Test, more: { spoolBytes?: number } = {}) {
  const spool = await openSpool({
    folder: join(temporaryFolder(t), 'spool'),
    log,
    keepFreeBytes: 0,
    ...(more.spoolBytes === undefined ? {} : { maxBytes: more.spoolBytes }),
  })
  const cloud = { isUp: true, applied: [] as string[] }
  const session: CloudSession = {
    lease: { slot: 'homeport_a', epoch: '1', holder: 'us' },
    progress: progressAt('0/0'),
    link: {
      name: 'direct',
      apply: async (batch: Batch) => {
        if (!cloud.isUp) throw Object.assign(new Error('gone'), { code: 'ECONNRESET' })
        const pass = batch.parts()
        for await (const part of pass) t.ok(part.frames.length >= 0)
        cloud.applied.push(batch.end)
        const progress = progressAt(batch.end)
        return { kind: 'applied', isNew: true, progress, rows: 1, resolved: 0, quarantined: 0 }
      },
    } as unknown as CloudLink,
  }
  const pressure = { isOn: false, isUrgent: false, controller: new AbortController() }
  const stopping = new AbortController()
  let isLost = false
  const streams = [new ScriptedStream()]
  const said: string[] = []
  const options: FlowOptions = {
    cloud: {
      transport: 'direct',
      reach: async (signal) => {
        if (isLost) signal.throwIfAborted()
        isLost = false
        return session
      },
      lose: () => (isLost = true),
      forget: () => undefined,
      worked: (progress) => (session.progress = progress),
    },
    spool,
    pressure: {
      get isOn() {
        return pressure.isOn
      },
      get isUrgent() {
        return pressure.isUrgent
      },
      get signal() {
        return pressure.controller.signal
      },
    },
    reopen: async (_, cause) => {
      if (cause instanceof HomeportError && cause.code !== 'PRIMARY_UNREACHABLE') throw cause
      streams.push(new ScriptedStream())
      return streams.at(-1) as unknown as ReplicationStream
    },
    deliver: { fetchRows: async () => [], quarantine: false, log },
    maxSegments: 100,
    stopping: stopping.signal,
    hard: new AbortController().signal,
    events: { onApplied: () => undefined, onSpooled: () => undefined, say: (text) => said.push(text) },
    log,
  }
  const flow = new Flow(options, streams[0] as unknown as ReplicationStream, '0/0')
  const setPressure = (isOn: boolean, isUrgent = false): void => {
    Object.assign(pressure, { isOn, isUrgent })
    if (isOn) pressure.controller.abort()
    else pressure.controller = new AbortController()
    flow.wake()
  }
  const running = Promise.all([flow.intake(), flow.drain()])
  const stop = async (): Promise<void> => {
    stopping.abort(new HomeportError('INTERRUPTED', 'stopped'))
    for (const stream of streams) stream.end()
    await running
  }
  return { flow, spool, cloud, streams, said, setPressure, running, stop }
}

const batch = (number: number): Batch => sampleBatch({ number })
const ends = (...numbers: number[]): string[] => numbers.map(endOf)

t.test('what the cloud has is acknowledged, exactly and in order', async (t) => {
  const { streams, cloud, flow, stop } = await setUp(t)
  streams[0]?.send(batch(1), batch(2), batch(3))
  await until(
    async () => streams[0]?.acknowledged.length,
    (count) => count === 3,
  )
  t.strictSame(cloud.applied, ends(1, 2, 3))
  t.strictSame(streams[0]?.acknowledged, ends(1, 2, 3))
  t.equal(flow.durableLsn, endOf(3))
  t.equal(flow.cloudHas(endOf(3)), true)
  t.equal(flow.cloudHas(endOf(4)), false)
  await stop()
})

t.test('without pressure a cloud that is away is waited for, and nothing is acknowledged', async (t) => {
  const { streams, cloud, spool, stop } = await setUp(t)
  cloud.isUp = false
  streams[0]?.send(batch(1), batch(2))
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.strictSame(streams[0]?.acknowledged, [])
  t.ok(spool.isEmpty)
  cloud.isUp = true
  await until(
    async () => streams[0]?.acknowledged.length,
    (count) => count === 2,
  )
  await stop()
})

t.test('under pressure it goes into the spool, and from there first, in order', async (t) => {
  const { streams, cloud, spool, flow, said, setPressure, stop } = await setUp(t)
  cloud.isUp = false
  streams[0]?.send(batch(1))
  await new Promise((resolve) => setTimeout(resolve, 50))
  setPressure(true)
  streams[0]?.send(batch(2))
  await until(
    async () => streams[0]?.acknowledged.length,
    (count) => count === 2,
  )
  t.equal(spool.batches, 2)
  t.equal(flow.cloudHas(endOf(2)), false, 'durable here is not there')
  setPressure(false)
  streams[0]?.send(batch(3))
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.strictSame(streams[0]?.acknowledged, ends(1, 2), 'the third waits in the log')
  cloud.isUp = true
  await until(
    async () => streams[0]?.acknowledged.length,
    (count) => count === 3,
  )
  t.strictSame(cloud.applied, ends(1, 2, 3))
  t.ok(spool.isEmpty)
  t.match(said, [/go into the spool now/, /the spool is empty/])
  await stop()
})

t.test('a cloud that is there gets it straight under pressure too, until it is urgent', async (t) => {
  const { streams, cloud, spool, setPressure, stop } = await setUp(t)
  setPressure(true)
  streams[0]?.send(batch(1))
  await until(
    async () => cloud.applied.length,
    (count) => count === 1,
  )
  t.ok(spool.isEmpty)
  cloud.isUp = false
  setPressure(true, true)
  streams[0]?.send(batch(2))
  await until(
    async () => spool.batches,
    (count) => count === 1,
  )
  t.strictSame(streams[0]?.acknowledged, ends(1, 2))
  cloud.isUp = true
  await until(
    async () => cloud.applied.length,
    (count) => count === 2,
  )
  await stop()
})

t.test(
  'a spool that is full leaves it to the log, says so once, and the cloud gets it in the end',
  async (t) => {
    const { streams, cloud, flow, said, setPressure, stop } = await setUp(t, { spoolBytes: 1 })
    cloud.isUp = false
    setPressure(true, true)
    streams[0]?.send(batch(1))
    await until(
      async () => flow.spoolTrouble,
      (trouble) => trouble !== null,
    )
    t.strictSame(streams[0]?.acknowledged, [])
    cloud.isUp = true
    await until(
      async () => streams[0]?.acknowledged.length,
      (count) => count === 1,
    )
    t.strictSame(cloud.applied, ends(1))
    t.equal(said.filter((text) => text.includes('takes nothing more')).length, 1)
    await stop()
  },
)

t.test('a stream that ended is opened again where everything is durable', async (t) => {
  const { streams, cloud, stop } = await setUp(t)
  streams[0]?.send(batch(1), new HomeportError('PRIMARY_UNREACHABLE', 'gone'))
  await until(
    async () => streams.length,
    (count) => count === 2,
  )
  streams[1]?.send(batch(2))
  await until(
    async () => cloud.applied.length,
    (count) => count === 2,
  )
  t.strictSame(streams[1]?.acknowledged, ends(2))
  await stop()
})

t.test('damage ends it, and nothing after it is acknowledged', async (t) => {
  const { streams, running, stop } = await setUp(t)
  const failed = t.rejects(running, { code: 'PGOUTPUT_DAMAGED' })
  streams[0]?.send(batch(1), new HomeportError('PGOUTPUT_DAMAGED', 'x'), batch(2))
  await failed
  t.strictSame(streams[0]?.acknowledged, ends(1))
  await stop().catch(() => undefined)
})
