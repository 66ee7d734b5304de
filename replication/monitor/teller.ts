import { formatDuration } from '../../core/amounts.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Finding } from '../finding.ts'
import {
  raisedAlerts,
  restoreAlerts,
  stepAlerts,
  type AlertChange,
  type AlertState,
  type Seen,
} from './alerts.ts'
import { Courier } from './delivery/courier.ts'
import { lastedMs, wayNames, type Way } from './delivery/notice.ts'
import { afterNotices, type Outbox } from './delivery/outbox.ts'
import type { MonitorHistory } from './history.ts'
import type { Alert, MonitorSample } from './sample.ts'

export interface MonitorEvent {
  at: string
  event:
    | 'verified'
    | 'problem'
    | 'worse'
    | 'solved'
    | 'unreachable'
    | 'reached'
    | 'pruned'
    | 'recall'
    | 'remark'
    | 'undelivered'
  message: string
  /** what a problem, or its end, is about */
  alert?: Alert
}

export interface TellerOptions {
  history?: Pick<MonitorHistory, 'addSample' | 'addAlert' | 'openAlerts' | 'prune'>
  ways?: readonly Way[]
  /** where notices wait until they have arrived, also across a restart */
  outbox?: Pick<Outbox, 'waiting' | 'keep' | 'trouble'>
  onEvent?: (event: MonitorEvent) => void
  /** the same as a line of text */
  onNote?: (text: string) => void
}

/** The ping after a comparison that does not arrive. */
export const pingFailed = 'PING_FAILED'
/** How long the end waits for what is on its way to a webhook or a command. */
const farewellMs = 3000

/** Keeps the alerts, and tells of them: by events, in the history, and by the ways that were asked for. */
export class Teller {
  readonly #options: TellerOptions
  readonly #couriers: readonly Courier[]
  readonly #trouble = new Map<string, Finding>()
  /** by the alerts that the last monitor left */
  readonly #failedBefore = new Map<string, Finding>()
  #state: AlertState = new Map()

  constructor(options: TellerOptions) {
    this.#options = options
    const { outbox, ways = [] } = options
    this.#couriers = ways.map(
      (way) =>
        new Courier({
          way,
          onFailure: (message) => this.say('undelivered', `${way.name}: ${message}`),
          ...(outbox === undefined
            ? {}
            : {
                waiting: outbox.waiting(way.name),
                keep: (waiting) => this.#write(() => outbox.keep(way.name, waiting)),
              }),
        }),
    )
  }

  /** Takes up what the last monitor left: what it has said is not said again, what it could not deliver is delivered. */
  async restore(): Promise<void> {
    const { history, outbox } = this.#options
    const open = await this.#openAlerts()
    const notices = this.#couriers.flatMap(({ waiting }) => waiting)
    const now = afterNotices(open, notices)
    this.#state = restoreAlerts(now)
    for (const { code, side, severity, message, fix } of now) {
      const finding = { code, side, severity, message, fix }
      if (code === pingFailed) this.#trouble.set(code, finding)
      else this.#failedBefore.set(code, finding)
    }
    // It was killed before the history knew.
    const over = notices.flatMap(({ kind, alert }) => (kind === 'over' ? [alert] : []))
    const ended = over.filter((one) => open.some(({ id, since }) => id === one.id && since === one.since))
    const unknown = [...now.filter((alert) => !open.includes(alert)), ...ended]
    for (const alert of unknown) await this.#write(async () => history?.addAlert(alert))
    if (outbox !== undefined && outbox.trouble !== null) {
      this.say('remark', `alerts that had not been delivered cannot be read: ${outbox.trouble}`)
    }
    await this.#giveUpWaysNotSet()
    for (const courier of this.#couriers) courier.go()
  }

  /** Who sets a way again after months is not told what was true then. */
  async #giveUpWaysNotSet(): Promise<void> {
    const { outbox } = this.#options
    if (outbox === undefined) return
    for (const name of wayNames) {
      const waiting = outbox.waiting(name).length
      if (waiting === 0 || this.#couriers.some((courier) => courier.name === name)) continue
      this.say('undelivered', `${name}: it is not set any more, and ${waiting} of its alerts are given up`)
      await this.#write(() => outbox.keep(name, []))
    }
  }

  /** A watch that begins without its past is worth more than none. */
  async #openAlerts(): Promise<Alert[]> {
    try {
      return (await this.#options.history?.openAlerts()) ?? []
    } catch (error) {
      const message = `which alerts were open cannot be read, so they may be told again: ${errorMessage(error)}`
      this.setTrouble('HISTORY_NOT_READ', message, 'look at the files in the folder of MONITOR_STATE_PATH')
      return []
    }
  }

  /** What lasts now, the oldest first. */
  get raised(): Alert[] {
    return raisedAlerts(this.#state)
  }

  say(event: MonitorEvent['event'], message: string, alert?: Alert): void {
    const at = new Date().toISOString()
    this.#options.onEvent?.({ at, event, message, ...(alert === undefined ? {} : { alert }) })
    this.#options.onNote?.(`${event}: ${message}`)
  }

  /** One look further; tells what changed. */
  async apply(looks: readonly Seen[], at: string): Promise<void> {
    const { state, changes } = stepAlerts(this.#state, [...looks, this.#deliveries()], at)
    this.#state = state
    for (const change of changes) await this.#tell(change)
  }

  async keep(sample: MonitorSample): Promise<void> {
    const { history } = this.#options
    if (history !== undefined) await this.#write(() => history.addSample(sample))
  }

  async prune(): Promise<void> {
    const { history } = this.#options
    if (history !== undefined) await this.#write(() => history.prune(new Date()))
  }

  /** A way of ours that does not work, or works again (null): a finding of its own, until it does. */
  setTrouble(code: string, message: string | null, fix = ''): void {
    if (message === null) this.#trouble.delete(code)
    else this.#trouble.set(code, { code, side: 'primary', severity: 'warning', message, fix })
  }

  async close(): Promise<void> {
    const isKept = this.#options.outbox !== undefined
    await Promise.all(
      this.#couriers.map(async (courier) => {
        const left = await courier.close(farewellMs)
        if (left === 0) return
        const what = `${left} ${left === 1 ? 'alert' : 'alerts'} not delivered`
        this.say('undelivered', `${courier.name}: ${what}${isKept ? ', kept for the next start' : ''}`)
      }),
    )
  }

  async #tell({ kind, alert }: AlertChange): Promise<void> {
    const isReach = alert.code.endsWith('_UNREACHABLE')
    if (kind === 'over') {
      const lasted = formatDuration(lastedMs(alert))
      this.say(isReach ? 'reached' : 'solved', `${alert.message} (over after ${lasted})`, alert)
    } else {
      this.say(isReach ? 'unreachable' : kind === 'worse' ? 'worse' : 'problem', alert.message, alert)
    }
    const { history } = this.#options
    // That nothing arrives there need not be told there.
    const couriers = this.#couriers.filter(({ name }) => alert.code !== failureCode(name))
    // First what has to arrive, then that it is decided, then off with it: killed between, nothing is lost or doubled.
    for (const courier of couriers) await courier.send({ kind, alert })
    if (history !== undefined) await this.#write(() => history.addAlert(alert))
    for (const courier of couriers) courier.go()
  }

  /** A disk that is full must not end the monitor: it says so, and forgets. */
  async #write(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
      this.setTrouble('HISTORY_NOT_WRITTEN', null)
    } catch (error) {
      this.setTrouble(
        'HISTORY_NOT_WRITTEN',
        `the history of the monitor cannot be written: ${errorMessage(error)}`,
        'make room on that disk, or name another folder: MONITOR_STATE_PATH',
      )
    }
  }

  #deliveries(): Seen {
    const failing = this.#couriers.flatMap(({ name, failure, hasArrived, waiting }): Finding[] => {
      if (failure === null) {
        // What failed before the restart fails until something arrives.
        const before = this.#failedBefore.get(failureCode(name))
        return before === undefined || hasArrived || waiting.length === 0 ? [] : [before]
      }
      const setting = name === 'webhook' ? 'ALERT_WEBHOOK_URL' : 'ALERT_COMMAND'
      const message = `alerts do not arrive by the ${name}: ${failure}`
      const fix = `check ${setting}, then: ops monitor --test-alert`
      return [{ code: failureCode(name), side: 'primary', severity: 'warning', message, fix }]
    })
    return { source: 'delivery', findings: [...failing, ...this.#trouble.values()] }
  }
}

function failureCode(name: Way['name']): string {
  return name === 'webhook' ? 'WEBHOOK_FAILED' : 'COMMAND_FAILED'
}
