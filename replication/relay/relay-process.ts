import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { sleep } from '../../core/backoff.ts'
import { createPool } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import { pinSearchPath } from '../servers.ts'
import { CloudSide } from './cloud-side.ts'
import { explainStop } from './decide.ts'
import { fetchRows } from './fetch-rows.ts'
import { Flow, type Delivered, type FlowOptions } from './flow.ts'
import { Guard } from './guard.ts'
import { openLinks } from './links.ts'
import { readMemory, writeMemory } from './memory-file.ts'
import { PressureWatch } from './pressure-watch.ts'
import type { PrimaryFacts } from './primary-facts.ts'
import { PrimarySide, relayApplicationName } from './primary-side.ts'
import { RelayMonitor } from './relay-monitor.ts'
import type { RelayView } from './relay-view.ts'
import type { RelayOutcome, RunRelayOptions } from './run.ts'
import type { Spool } from './spool/spool.ts'
import type { StateFolder } from './state-folder.ts'
import { defaultWalLimits } from './wal-budget.ts'

/** What is under way when the end comes may take so long; then it is given up. */
const graceMs = 4_000
/** The farewells, twice: the last acknowledgement and the report; then the connections. */
const farewellMs = 2_000
const lookMs = 2_000
const queryTimeoutMs = 30_000

/** One run of the relay: its parts, and what they do until it ends. */
export class RelayProcess {
  readonly #options: RunRelayOptions
  readonly #folder: StateFolder
  readonly #spool: Spool
  /** nothing new is begun */
  readonly #stopping = new AbortController()
  /** what is under way is given up */
  readonly #hard = new AbortController()
  readonly #pool: pg.Pool
  readonly #primary: PrimarySide
  readonly #guard: Guard
  readonly #cloud: CloudSide
  readonly #monitor: RelayMonitor
  #watch: PressureWatch | null = null
  #watching: Promise<void> = Promise.resolve()
  #flow: Flow | null = null
  #walLsn: string | null = null
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
    const { links, available } = openLinks(options)
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
      reading: this.#stopping.signal,
    })
    this.#guard = new Guard({
      primary: this.#primary,
      spool,
      holder: folder.holder,
      leaseSeconds,
      memory,
      signal: this.#stopping.signal,
    })
    this.#cloud = new CloudSide({
      ...shared('cloud'),
      links,
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
    signal.addEventListener('abort', this.#stop, { once: true })
    let failure: HomeportError | null = null
    try {
      await this.#monitor.start(() => this.#view())
      if (signal.aborted) this.#stop()
      await this.#work()
    } catch (error) {
      if (!this.#isEnd(error)) failure = explainStop(error, 'cloud')
    } finally {
      signal.removeEventListener('abort', this.#stop)
      this.#stop()
    }
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
    const { signal } = this.#stopping
    const facts = await this.#primary.readFacts(null, signal)
    this.#walLsn = facts.walLsn
    const startLsn = await this.#findStart(facts)
    const slot = this.#guard.slot ?? ''
    this.#startWatch(slot)
    const open = async (from: string) =>
      this.#primary.open({
        slot,
        startLsn: from,
        hasLease: () => this.#cloud.session !== null,
        check: (now) => this.#guard.checkPrimary(now),
        signal,
      })
    const flow = this.#createFlow(await open(startLsn), startLsn, async (from, cause) => {
      this.#primary.lost(cause)
      return open(from)
    })
    this.#flow = flow
    this.#options.log.info({ slot, startLsn }, 'reading begins')
    const tasks = [flow.intake(), flow.drain(), this.#keepLease(), this.#endWhenCaughtUp(flow, facts.walLsn)]
    // The first that fails ends the others; what is under way there may finish.
    const settled = await Promise.allSettled(
      tasks.map((task) => task.catch((error: unknown) => Promise.reject(this.#stopFor(error)))),
    )
    const failed = settled.find((one) => one.status === 'rejected' && !this.#isEnd(one.reason))
    if (failed?.status === 'rejected') throw failed.reason
  }

  /** Where reading goes on: as the cloud says; under pressure also without it, where the slot and the spool are. */
  async #findStart(facts: PrimaryFacts): Promise<string> {
    const { signal } = this.#stopping
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
      stopping: this.#stopping.signal,
      hard: this.#hard.signal,
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
      onChange: () => this.#flow?.wake(),
      say: this.#say,
      log: this.#options.log,
    })
    this.#watch = watch
    this.#watching = this.#repeat(lookMs, async () => {
      await watch.look()
      await this.#readWalLsn()
    })
  }

  async #readWalLsn(): Promise<void> {
    try {
      const { rows } = await this.#pool.query<{ walLsn: string }>(loadSql('relay/wal-position'))
      this.#walLsn = rows[0]?.walLsn ?? this.#walLsn
    } catch (error) {
      this.#options.log.debug({ err: error }, 'the position of the log could not be read')
    }
  }

  async #keepLease(): Promise<void> {
    await this.#repeat((this.#options.leaseSeconds * 1000) / 3, async () => {
      await this.#cloud.renew()
      // Nothing may come for hours, and a cloud that was rewound or taken over should be noticed.
      if (this.#cloud.session === null && this.#flow?.isDelivering !== true) {
        await this.#cloud.reach(this.#stopping.signal)
      }
    })
  }

  async #endWhenCaughtUp(flow: Flow, targetLsn: string): Promise<void> {
    if (!this.#options.untilCaughtUp) return
    await this.#repeat(50, async () => {
      if (!flow.cloudHas(targetLsn)) return
      this.#isCaughtUp = true
      this.#stop()
    })
  }

  /** Does it now and then, until the end. */
  async #repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await work()
      await sleep(everyMs, signal).catch(() => undefined)
    }
  }

  readonly #stop = (): void => {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new HomeportError('INTERRUPTED', 'the relay was told to stop'))
    const tooLong = new HomeportError('INTERRUPTED', 'what was under way was given up')
    setTimeout(() => this.#hard.abort(tooLong), graceMs).unref()
  }

  #stopFor(error: unknown): Error {
    this.#stop()
    return error instanceof Error ? error : new Error(String(error))
  }

  #isEnd(error: unknown): boolean {
    return [this.#stopping.signal, this.#hard.signal].some(
      (signal) => signal.aborted && error === signal.reason,
    )
  }

  /** The exact last acknowledgement, the reason in the cloud, the status file; nothing of it may take long. */
  async #farewell(failure: HomeportError | null): Promise<void> {
    const { log } = this.#options
    const within = async (what: string, work: Promise<unknown>): Promise<void> => {
      try {
        const timeout = delay(farewellMs, 'timeout', { ref: false })
        if ((await Promise.race([work, timeout])) === 'timeout') log.warn(`${what}: not in time`)
      } catch (error) {
        log.warn({ err: error }, what)
      }
    }
    if (failure !== null) log.error({ code: failure.code, hint: failure.hint }, failure.message)
    await Promise.all([
      within('the last acknowledgement', this.#flow?.stream.close() ?? Promise.resolve()),
      within('the report', failure === null ? this.#cloud.reportEnd() : this.#cloud.reportStop(failure)),
    ])
    const { memory } = this.#guard
    if (memory !== null) await within('the memory', writeMemory(this.#folder.path, memory))
    await Promise.all([
      within('the status', this.#monitor.stop(failure)),
      within('the cloud', this.#cloud.close()),
      within(
        'the primary',
        this.#watching.then(() => this.#pool.end()),
      ),
      within('the spool', this.#spool.close()),
    ])
    log.info({ failure: failure?.code ?? null }, 'ended')
  }

  readonly #say = (text: string): void => {
    this.#options.log.info({ note: true }, text)
    this.#options.onNote?.(text)
  }

  #view(): RelayView {
    const watch = this.#watch
    const memory = this.#guard.memory
    return {
      nowMs: Date.now(),
      isStopped: false,
      isRunning: this.#flow !== null,
      transport: this.#cloud.transport,
      isCloudReached: this.#cloud.session !== null || this.#cloud.lastError === null,
      isPrimaryReached: this.#primary.lastError === null,
      slot: this.#guard.slot,
      walLsn: this.#walLsn,
      cloudLsn: memory?.cloudLsn ?? null,
      oldestWaitingAt: this.#flow?.oldestWaitingAt ?? null,
      wal: watch?.facts && watch.verdict ? { facts: watch.facts, verdict: watch.verdict } : null,
      isIngestPaused: watch?.isIngestPaused ?? false,
      spool: {
        batches: this.#spool.batches,
        bytes: this.#spool.bytes,
        firstAfter: this.#spool.firstAfter,
        endLsn: this.#spool.endLsn,
      },
      memory,
    }
  }
}
