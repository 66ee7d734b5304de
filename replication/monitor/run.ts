import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { orAborted, sleep } from '../../core/backoff.ts'
import { createPool, explainConnectionError } from '../../core/db.ts'
import { errorMessage, HomeportError } from '../../core/errors.ts'
import type { Finding } from '../finding.ts'
import type { HealthLimits } from '../health-verdicts.ts'
import { beat } from '../heartbeat.ts'
import { readServerFacts } from '../server-facts.ts'
import { refuseWrongServers } from '../server-verdicts.ts'
import { nameSetting, pinSearchPath } from '../servers.ts'
import type { Seen } from './alerts.ts'
import { ContentWatch } from './content-watch.ts'
import { ping } from './delivery/http.ts'
import { lookAtHome, noLogHistory, type HomeLook, type LogHistory } from './home-look.ts'
import { judgeHome, judgeLook } from './judge-look.ts'
import { SampleKeeper } from './keep-samples.ts'
import { MonitorLock } from './lock.ts'
import type { Alert, MonitorSample } from './sample.ts'
import { intervalSchedule, type Schedule } from './schedule.ts'
import { lookAtServers, readFittings, toSample, type ServerLook, type Servers } from './server-look.ts'
import { pingFailed, Teller, type TellerOptions } from './teller.ts'
import { judgeSilence, remarksOn } from './verdicts.ts'

export interface RunMonitorOptions extends TellerOptions {
  primaryUrl: string
  cloudUrl: string
  /** the primary, as a role that may replicate; needed where that of `primaryUrl` may not */
  replicationUrl?: string
  signal: AbortSignal
  /** default 5 */
  beatSeconds?: number
  /** when the content is compared; by default every `verifySeconds` (300) */
  schedule?: Schedule
  verifySeconds?: number
  limits?: HealthLimits
  /** where the primary's data is on this machine, where the server does not say it */
  dataFolder?: string
  /** asked for after every comparison that found everything well, as soon as nothing else is wrong */
  pingUrl?: string
  /** seconds between two samples in the history (default 15) */
  sampleSeconds?: number
  /** after every look */
  onLook?: (look: { sample: MonitorSample; alerts: Alert[] }) => void
}

/**
 * Beats, looks and compares until the signal aborts; then it returns. The only one of its kind for a primary. Tells
 * what begins, what becomes worse and what is over; a server that does not answer is tried again at every beat.
 *
 * @throws HomeportError MONITOR_RUNNING; SAME_SERVER or SIDES_SWAPPED, exit 2.
 */
export async function runMonitor(options: RunMonitorOptions): Promise<void> {
  const monitor = new Monitor(options)
  try {
    await monitor.run()
  } finally {
    await monitor.close()
  }
}

/** A look takes milliseconds; a server that does not answer one in this time hangs. */
const lookTimeoutMs = 15_000
/** One statement of a comparison: hashing a table whole, 70,000 vectors a second. */
const verifyTimeoutMs = 30 * 60_000
const fittingsEveryMs = 60_000
const pruneEveryMs = 86_400_000
const applicationName = 'homeport monitor'

class Monitor {
  readonly #options: RunMonitorOptions
  readonly #looking: Servers
  readonly #verifying: Servers
  readonly #lock: MonitorLock
  readonly #teller: Teller
  readonly #content: ContentWatch
  #holding: Promise<void> = Promise.resolve()
  #areKnown = false
  /** the last look at both */
  #look: ServerLook | undefined
  #log: LogHistory = noLogHistory
  #sample: MonitorSample | null = null
  readonly #keeper: SampleKeeper
  #isPingDue = false
  #fittedMs = -Infinity
  #prunedMs = -Infinity
  #remarks = ''

  constructor(options: RunMonitorOptions) {
    const { primaryUrl, replicationUrl, signal, schedule, verifySeconds } = options
    this.#options = options
    this.#looking = openServers(options, lookTimeoutMs)
    this.#verifying = openServers(options, verifyTimeoutMs)
    this.#lock = new MonitorLock(primaryUrl)
    this.#teller = new Teller(options)
    this.#keeper = new SampleKeeper(options.sampleSeconds ?? 15)
    this.#content = new ContentWatch({
      ...this.#verifying,
      primaryUrl,
      ...(replicationUrl === undefined ? {} : { replicationUrl }),
      signal,
      schedule: schedule ?? intervalSchedule(verifySeconds ?? 300),
      say: (event, message) => this.#teller.say(event, message),
      alerts: () => this.#teller.raised,
    })
  }

  async run(): Promise<void> {
    const { signal, beatSeconds = 5 } = this.#options
    await this.#teller.restore()
    if (this.#options.pingUrl === undefined) this.#teller.setTrouble(pingFailed, null)
    while (!signal.aborted) {
      await this.#turn()
      // The end interrupts the wait.
      await sleep(beatSeconds * 1000, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    }
  }

  async close(): Promise<void> {
    const farewell = async (): Promise<void> => {
      await this.#holding.catch(() => undefined)
      await this.#lock.release()
      await this.#content.close()
      await Promise.all(
        [this.#looking, this.#verifying].flatMap(({ primary, cloud }) => [primary.end(), cloud.end()]),
      )
    }
    // A server that hangs does not answer a farewell either.
    const gone = Promise.race([farewell(), delay(2000, undefined, { ref: false })])
    await Promise.all([gone, this.#teller.close()])
  }

  async #turn(): Promise<void> {
    const { signal } = this.#options
    const at = new Date().toISOString()
    const seen: Seen[] = []
    let look: ServerLook | HomeLook | null = null
    try {
      look = this.#look = await orAborted(this.#lookAround(seen), signal)
      seen.push({ source: 'reach', findings: [] })
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof HomeportError && (error.exitCode === 2 || error.code === 'MONITOR_RUNNING'))
        throw error
      const findings = await orAborted(this.#explain(error), signal).catch(() => null)
      if (findings === null) return
      seen.push({ source: 'reach', findings })
      const isHomeUp = findings.every(({ code }) => code !== 'PRIMARY_UNREACHABLE')
      // What goes wrong here as well is what the findings say.
      if (isHomeUp) look = await orAborted(this.#lookAtHome(seen), signal).catch(() => null)
      if (signal.aborted) return
    }
    this.#log = look?.log ?? this.#log
    const content = this.#content.take()
    await this.#teller.apply([...seen, ...content.seen], at)
    await this.#keep(at, look, seen)
    this.#isPingDue = content.isProven ?? this.#isPingDue
    if (this.#isPingDue && !this.#teller.raised.some(({ severity }) => severity === 'error')) this.#ping()
    if (look !== null && 'health' in look) this.#content.startIfDue(look)
  }

  async #lookAround(seen: Seen[]): Promise<ServerLook> {
    const { primary } = this.#looking
    const { dataFolder } = this.#options
    this.#holding = this.#lock.hold()
    await this.#holding
    if (!this.#areKnown) {
      // Before the first beat: one that is written into the cloud is damage.
      refuseWrongServers(await readServerFacts(primary), await readServerFacts(this.#looking.cloud))
      this.#areKnown = true
    }
    const look = await lookAtServers({
      ...this.#looking,
      before: { log: this.#log, ...(this.#look === undefined ? {} : { health: this.#look.health }) },
      ...(dataFolder === undefined ? {} : { dataFolder }),
    })
    await beat(primary)
    const servers = await this.#lookAtFittings()
    seen.push(...judgeLook(look, this.#judging), ...servers)
    return look
  }

  /** The cloud is away, and the log of the primary grows. */
  async #lookAtHome(seen: Seen[]): Promise<HomeLook> {
    const { primary } = this.#looking
    const { dataFolder } = this.#options
    const health = this.#look?.health ?? null
    const slotName = health?.slot?.name ?? health?.relay?.slot ?? health?.subscription?.slot
    const look = await lookAtHome({
      primary,
      log: this.#log,
      cloudIdentity: this.#look?.cloudIdentity ?? null,
      ...(typeof slotName === 'string' ? { slotName } : {}),
      ...(dataFolder === undefined ? {} : { dataFolder }),
    })
    seen.push(judgeHome(look, health, this.#judging))
    // So that the lag is right as soon as the cloud answers; not before it is known which server this is. One that
    // takes no writes, as when its disk is full, has said so already.
    if (this.#areKnown) await beat(primary).catch(() => undefined)
    return look
  }

  get #judging() {
    const { limits = {}, beatSeconds = 5 } = this.#options
    return { limits, beatSeconds, alerts: this.#teller.raised }
  }

  async #lookAtFittings(): Promise<Seen[]> {
    if (performance.now() - this.#fittedMs < fittingsEveryMs) return []
    const { primary, cloud, findings } = await readFittings(this.#looking)
    this.#fittedMs = performance.now()
    const remarks = remarksOn(primary, cloud)
    if (remarks.join() !== this.#remarks) for (const remark of remarks) this.#teller.say('remark', remark)
    this.#remarks = remarks.join()
    return [{ source: 'servers', findings }]
  }

  /** Which server does not answer, and why, where that is what an error was about. */
  async #explain(error: unknown): Promise<Finding[]> {
    const sides = [
      ['primary', this.#looking.primary, this.#options.primaryUrl],
      ['cloud', this.#looking.cloud, this.#options.cloudUrl],
    ] as const
    const answers = await Promise.allSettled(sides.map(([, pool]) => pool.query('select 1')))
    const silent = sides.flatMap(([side, , connectionString], place) => {
      const answer = answers[place]
      if (answer?.status !== 'rejected') return []
      const why = explainConnectionError(answer.reason, { connectionString, applicationName })
      return [judgeSilence(side, nameSetting(side, why).message)]
    })
    if (silent.length > 0) return silent
    const fix = (error instanceof HomeportError ? error.hint : undefined) ?? 'ops status shows what is there'
    return [{ code: 'LOOK_FAILED', side: 'primary', severity: 'error', message: errorMessage(error), fix }]
  }

  async #keep(at: string, look: ServerLook | HomeLook | null, seen: readonly Seen[]): Promise<void> {
    const { onLook } = this.#options
    const unreachable = seen.flatMap(({ findings }) =>
      findings.flatMap(({ code, side }) => (code.endsWith('_UNREACHABLE') ? [side] : [])),
    )
    const sample = toSample(look, { at, recall: this.#content.recall, unreachable }, this.#sample)
    this.#sample = sample
    onLook?.({ sample, alerts: this.#teller.raised })
    const now = performance.now()
    const kept = this.#keeper.add(sample, look?.log.lsn ?? null, now)
    if (kept !== null) await this.#teller.keep(kept)
    if (now - this.#prunedMs >= pruneEveryMs) {
      this.#prunedMs = now
      await this.#teller.prune()
    }
  }

  /** Nobody waits for it. */
  #ping(): void {
    const { pingUrl, signal } = this.#options
    this.#isPingDue = false
    if (pingUrl === undefined) return
    ping(pingUrl, signal).then(
      () => this.#teller.setTrouble(pingFailed, null),
      (error: unknown) => {
        if (signal.aborted) return
        const message = `the ping after a comparison does not arrive: ${errorMessage(error)}`
        this.#teller.say('undelivered', message)
        this.#teller.setTrouble(pingFailed, message, 'check MONITOR_PING_URL')
      },
    )
  }
}

function openServers(options: RunMonitorOptions, queryTimeoutMs: number): Servers {
  const open = (connectionString: string): pg.Pool =>
    createPool({ connectionString, applicationName, max: 4, queryTimeoutMs, onConnect: pinSearchPath })
  return { primary: open(options.primaryUrl), cloud: open(options.cloudUrl) }
}
