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
import type { Way } from './delivery/notice.ts'
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
  onEvent?: (event: MonitorEvent) => void
  /** the same as a line of text */
  onNote?: (text: string) => void
}

/** How long the end waits for what is on its way to a webhook or a command. */
const farewellMs = 3000

/** Keeps the alerts, and tells of them: by events, in the history, and by the ways that were asked for. */
export class Teller {
  readonly #options: TellerOptions
  readonly #couriers: readonly Courier[]
  readonly #trouble = new Map<string, Finding>()
  #state: AlertState = new Map()

  constructor(options: TellerOptions) {
    this.#options = options
    this.#couriers = (options.ways ?? []).map(
      (way) =>
        new Courier({ way, onFailure: (message) => this.say('undelivered', `${way.name}: ${message}`) }),
    )
  }

  /** Takes up what the last monitor left: what it has said is not said again. */
  async restore(): Promise<void> {
    this.#state = restoreAlerts((await this.#options.history?.openAlerts()) ?? [])
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
    for (const courier of this.#couriers) {
      const left = await courier.close(farewellMs)
      if (left > 0) this.say('undelivered', `${courier.name}: ${left} alerts were not delivered`)
    }
  }

  async #tell({ kind, alert }: AlertChange): Promise<void> {
    const isReach = alert.code.endsWith('_UNREACHABLE')
    if (kind === 'over') {
      const ms = Date.parse(alert.until ?? alert.since) - Date.parse(alert.since)
      this.say(isReach ? 'reached' : 'solved', `${alert.message} (over after ${formatDuration(ms)})`, alert)
    } else {
      this.say(isReach ? 'unreachable' : kind === 'worse' ? 'worse' : 'problem', alert.message, alert)
    }
    const { history } = this.#options
    if (history !== undefined) await this.#write(() => history.addAlert(alert))
    for (const courier of this.#couriers) {
      // That nothing arrives there need not be told there.
      if (alert.code !== failureCode(courier.name)) courier.send({ kind, alert })
    }
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
    const failing = this.#couriers.flatMap(({ name, failure }): Finding[] => {
      if (failure === null) return []
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
