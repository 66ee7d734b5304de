import type pg from 'pg'
import { createPool } from '../../core/db.ts'
import type { HomeportError } from '../../core/errors.ts'
import { pinSearchPath } from '../servers.ts'
import { CloudSide } from './cloud-side.ts'
import { explainStop } from './decide.ts'
import { Ending } from './ending.ts'
import { inTime } from './farewell.ts'
import { listenForFences } from './fence-listener.ts'
import { fetchRows } from './fetch-rows.ts'
import { Flow, type Delivered, type FlowOptions } from './flow.ts'
import { Guard } from './guard.ts'
import { findLinks } from './links.ts'
import { readMemory, writeMemory } from './memory-file.ts'
import { PressureWatch } from './pressure-watch.ts'
import type { PrimaryFacts } from './primary-facts.ts'
import { PrimarySide, relayApplicationName } from './primary-side.ts'
import { RelayMonitor } from './relay-monitor.ts'
import { endWhenCaughtUp, keepLease } from './relay-tasks.ts'
import { viewOf, type RelayView } from './relay-view.ts'
import type { RelayOutcome, RunRelayOptions } from './run.ts'
import { SchemaWatch } from './schema-watch.ts'
import type { Spool } from './spool/spool.ts'
import type { StateFolder } from './state-folder.ts'
import { defaultWalLimits } from './wal-budget.ts'

/** What is under way when the end comes may take so long; then it is given up. */
const graceMs = 4_000
const lookMs = 2_000
const schemaLookMs = 1_000
const queryTimeoutMs = 30_000

/** One run of the relay: its parts, and what they do until it ends. */
export class RelayProcess {
  readonly #options: RunRelayOptions
  readonly #folder: StateFolder
  readonly #spool: Spool
  readonly #ending = new Ending(graceMs)
  readonly #pool: pg.Pool
  readonly #primary: PrimarySide
  readonly #schema: SchemaWatch
  readonly #guard: Guard
  readonly #cloud: CloudSide
  readonly #monitor: RelayMonitor
  #watch: PressureWatch | null = null
  #watching: Promise<void> = Promise.resolve()
  #flow: Flow | null = null
  #isCaughtUp = false

  /** @throws HomeportError STATE_FOLDER_DENIED and what opening the links throws. */
  static async create(options: RunRelayOptions, folder: StateFolder, spool: Spool): Promise<RelayProcess> {
    return new RelayProcess(options, folder, spool, await readMemory(folder.path))
  }

  private constructor(
    options: RunRelayOptions,
    folder: StateFolder,
    spool: Spool,
    memory: Awaited<ReturnType<typeof readMemory>>,
  ) {
    this.#options = options
    this.#folder = folder
    this.#spool = spool
    const { log, leaseSeconds, fallBackAfterMs, probeMs } = options
    const { open, available } = findLinks(options)
    const shared = (side: 'primary' | 'cloud') => ({
      say: this.#say,
      onTrouble: (error: unknown) => this.#monitor.noteTrouble(error),
      onReconnect: () => this.#monitor.onReconnect(side),
      log,
    })
    this.#monitor = new RelayMonitor(options, folder.path)
    this.#pool = createPool({
      connectionString: options.primaryUrl,
      applicationName: relayApplicationName,
      max: 4,
      queryTimeoutMs,
      onConnect: pinSearchPath,
    })
    this.#primary = new PrimarySide({
      ...shared('primary'),
      connectionString: options.primaryUrl,
      pool: this.#pool,
      spillFolder: folder.spillFolder,
      reading: this.#ending.stopping,
    })
    this.#schema = new SchemaWatch({
      readFacts: () => this.#primary.readFacts(this.#guard.slot, this.#ending.stopping),
      describeCloud: async () =>
        (await this.#cloud.reach(this.#ending.stopping)).link.describe(this.#guard.slot ?? ''),
      say: this.#say,
    })
    this.#guard = new Guard({
      schema: this.#schema,
      primary: this.#primary,
      spool,
      holder: folder.holder,
      leaseSeconds,
      memory,
      signal: this.#ending.stopping,
    })
    this.#cloud = new CloudSide({
      ...shared('cloud'),
      open,
      policy: { available, fallBackAfterMs, probeMs, probeMaxMs: probeMs * 10 },
      slot: memory?.slot ?? null,
      leaseRequest: (slot) => this.#guard.leaseRequest(slot),
      check: (cloud) => this.#guard.checkCloud(cloud),
      checkProgress: (progress) => this.#guard.checkProgress(progress),
    })
  }

  /** Runs to the end. @throws HomeportError why it ended, unless it was told to. */
  async run(): Promise<RelayOutcome> {
    const { signal } = this.#options
    signal.addEventListener('abort', this.#ending.stop, { once: true })
    let failure: HomeportError | null = null
    try {
      await this.#monitor.start(() => this.#view())
      if (signal.aborted) this.#ending.stop()
      await this.#work()
    } catch (error) {
      if (!this.#ending.isReason(error)) failure = explainStop(error, 'cloud')
    } finally {
      signal.removeEventListener('abort', this.#ending.stop)
      this.#ending.stop()
    }
    if (failure?.code === 'RELAY_FENCED') failure = await this.#explainFence(failure)
    await this.#farewell(failure)
    if (failure !== null) throw failure
    return this.#monitor.outcome({
      reason: this.#isCaughtUp ? 'caughtUp' : 'stopped',
      slot: this.#guard.slot,
      endLsn: this.#guard.memory?.cloudLsn ?? null,
      transport: this.#cloud.transport,
    })
  }

  async #work(): Promise<void> {
    const signal = this.#ending.stopping
    const facts = await this.#primary.readFacts(null, signal)
    const startLsn = await this.#findStart(facts)
    const slot = this.#guard.slot ?? ''
    this.#startWatch(slot)
    const open = async (from: string) =>
      this.#primary.open({
        slot,
        startLsn: from,
        hasLease: () => this.#cloud.session !== null,
        check: (now) => this.#guard.checkPrimary(now),
        history: () => this.#guard.history,
        signal,
      })
    const flow = this.#createFlow(await open(startLsn), startLsn, async (from, cause) => {
      this.#primary.lost(cause)
      return open(from)
    })
    this.#flow = flow
    const onCaughtUp = (): void => void (this.#isCaughtUp = true)
    const end = { ending: this.#ending, schema: this.#schema, onCaughtUp }
    this.#options.log.info({ slot, startLsn }, 'reading begins')
    await this.#ending.together([
      flow.intake(),
      flow.drain(),
      keepLease({
        ending: this.#ending,
        cloud: this.#cloud,
        leaseSeconds: this.#options.leaseSeconds,
        isDelivering: () => flow.isDelivering,
      }),
      this.#ending.repeat(schemaLookMs, async () => {
        await this.#schema.settle((lsn) => flow.cloudHas(lsn))
      }),
      listenForFences({
        connectionString: this.#options.primaryUrl,
        applicationName: relayApplicationName,
        flow,
        stopping: signal,
        log: this.#options.log,
      }),
      ...(this.#options.untilCaughtUp ? [endWhenCaughtUp({ ...end, flow, targetLsn: facts.walLsn })] : []),
    ])
  }

  /** Where reading goes on: as the cloud says; under pressure also without it, where the slot and the spool are. */
  async #findStart(facts: PrimaryFacts): Promise<string> {
    const signal = this.#ending.stopping
    const known = this.#guard.knows(facts)
    if (known !== null) this.#startWatch(known.slot)
    const pressure = this.#watch?.signal
    try {
      await this.#cloud.reach(pressure === undefined ? signal : AbortSignal.any([signal, pressure]))
      if (this.#guard.isSpoolDone) await this.#spool.clear()
      return this.#guard.startLsn ?? facts.walLsn
    } catch (error) {
      if (known === null || pressure?.aborted !== true || error !== pressure.reason) throw error
    }
    this.#say('the cloud cannot be reached, and the log runs out: reading begins without it, into the spool')
    this.#guard.assume(known.slot)
    const { slot } = await this.#primary.readFacts(known.slot, signal)
    return this.#spool.endLsn ?? slot?.confirmedLsn ?? known.cloudLsn
  }

  #createFlow(
    stream: Flow['stream'],
    startLsn: string,
    reopen: (startLsn: string, cause: unknown) => Promise<Flow['stream']>,
  ): Flow {
    const watch = this.#watch
    if (watch === null) throw new Error('the log budget is not watched')
    const { log, quarantine, maxSegments } = this.#options
    const options: FlowOptions = {
      cloud: this.#cloud,
      spool: this.#spool,
      pressure: watch,
      reopen,
      deliver: {
        fetchRows: (requests) => fetchRows(this.#pool, requests),
        quarantine,
        onBytes: (transport, bytes) => this.#monitor.onSent(transport, bytes),
        log,
      },
      maxSegments,
      stopping: this.#ending.stopping,
      hard: this.#ending.hard,
      events: {
        onApplied: (delivered: Delivered) => {
          this.#guard.remember(delivered.applied.progress)
          this.#monitor.onApplied(delivered)
        },
        onSpooled: () => this.#monitor.onSpooled(),
        say: this.#say,
      },
      log,
    }
    return new Flow(options, stream, startLsn)
  }

  #startWatch(slot: string): void {
    if (this.#watch !== null) return
    const watch = new PressureWatch({
      primary: this.#pool,
      slot,
      spool: this.#spool,
      limits: { ...defaultWalLimits, spoolShare: this.#options.walShare },
      ...(this.#options.primaryDataFolder === undefined
        ? {}
        : { dataFolder: this.#options.primaryDataFolder }),
      onChange: () => this.#flow?.wake(),
      say: this.#say,
      log: this.#options.log,
    })
    this.#watch = watch
    this.#watching = this.#ending.repeat(lookMs, () => watch.look())
  }

  async #explainFence(fenced: HomeportError): Promise<HomeportError> {
    let found = fenced
    const explaining = this.#cloud.explainFence(fenced).then((error) => (found = error))
    await inTime(this.#options.log, { 'the question who took over': explaining })
    return found
  }

  /** The exact last acknowledgement, the reason in the cloud, the status file; nothing of it may take long. */
  async #farewell(failure: HomeportError | null): Promise<void> {
    const { log } = this.#options
    if (failure !== null) log.error({ code: failure.code, hint: failure.hint }, failure.message)
    const { memory } = this.#guard
    await inTime(log, {
      'the last acknowledgement': this.#flow?.stream.close(),
      'the report': failure === null ? this.#cloud.reportEnd() : this.#cloud.reportStop(failure),
      'the memory': memory === null ? undefined : writeMemory(this.#folder.path, memory),
    })
    await inTime(log, {
      'the status': this.#monitor.stop(failure),
      'the cloud': this.#cloud.close(),
      'the primary': this.#watching.then(() => this.#pool.end()),
      'the spool': this.#spool.close(),
    })
    log.info({ failure: failure?.code ?? null }, 'ended')
  }

  readonly #say = (text: string): void => {
    this.#options.log.info({ note: true }, text)
    this.#options.onNote?.(text)
  }

  #view(): RelayView {
    return viewOf({
      primary: this.#primary,
      cloud: this.#cloud,
      guard: this.#guard,
      spool: this.#spool,
      watch: this.#watch,
      flow: this.#flow,
    })
  }
}
