import type { Finding } from '../finding.ts'
import type { Alert } from './sample.ts'

/** Who sees findings, each at its own times: a problem is over only when whoever saw it has looked again. */
export type Source = 'reach' | 'look' | 'home' | 'servers' | 'verify' | 'content' | 'recall' | 'delivery'

/** What one of them sees now. */
export interface Seen {
  source: Source
  findings: readonly Finding[]
}

export interface AlertChange {
  kind: 'raised' | 'worse' | 'over'
  alert: Alert
}

/** How many looks in a row, by whoever sees it, raise a finding, and how many without it end it. */
export interface Patience {
  raiseAfter: number
  overAfter: number
}

interface Watch {
  alert: Alert
  isRaised: boolean
  seen: number
  absent: number
  /** looks in a row at which it was an error while the alert is a warning */
  worse: number
}

/** By the alert's id. */
export type AlertState = ReadonlyMap<string, Watch>

const certain: Patience = { raiseAfter: 1, overAfter: 3 }
/** What may pass by itself within moments. */
const passing: Patience = { raiseAfter: 3, overAfter: 3 }
/** What is looked at seldom, and exactly. */
const exact: Patience = { raiseAfter: 1, overAfter: 1 }

const patienceByCode: Readonly<Record<string, Patience>> = {
  LAG: passing,
  HEARTBEAT_STUCK: passing,
  // A burst of writing on a busy disk is no trend, and a pause in one no end of it.
  SLOT_ENDS_SOON: { raiseAfter: 6, overAfter: 36 },
  SLOT_HALF_FULL: passing,
  SUBSCRIPTION_NOT_RUNNING: passing,
  RELAY_NOT_RUNNING: passing,
  PRIMARY_UNREACHABLE: passing,
  CLOUD_UNREACHABLE: passing,
  LOOK_FAILED: passing,
  // What fails at one line may succeed at the next while the disk is nearly full.
  HISTORY_NOT_WRITTEN: { raiseAfter: 1, overAfter: 12 },
  DRIFT: exact,
  UNDETERMINED: { raiseAfter: 2, overAfter: 1 },
  VERIFY_FAILED: { raiseAfter: 2, overAfter: 1 },
  VERIFY_LESS_EXACT: exact,
  RECALL_LOW: { raiseAfter: 3, overAfter: 1 },
}

/** Pure: what is certain is said at once; what may pass by itself has to stay. */
export function patienceOf(source: Source, code: string): Patience {
  return patienceByCode[code] ?? (source === 'servers' || source === 'delivery' ? exact : certain)
}

/** Pure: what makes two looks speak of the same thing. */
export function alertId(source: Source, { code, side, table }: Finding): string {
  return [source, code, side, ...(table === undefined ? [] : [table])].join('/')
}

/** Pure: as it was when the last monitor ended, so that nothing is said again. */
export function restoreAlerts(open: readonly Alert[]): AlertState {
  return new Map(
    open.map((alert) => [alert.id, { alert, isRaised: true, seen: 1, absent: 0, worse: 0 }] as const),
  )
}

/** Pure: the raised ones, the oldest first. */
export function raisedAlerts(state: AlertState): Alert[] {
  return [...state.values()]
    .flatMap(({ isRaised, alert }) => (isRaised ? [alert] : []))
    .sort((a, b) => a.since.localeCompare(b.since))
}

/**
 * Pure: one look further. A finding is raised once it was there at as many looks in a row as its patience asks, said
 * again when a warning has become an error, and over when it was absent as often; an error that becomes a warning
 * stays what it was until it is over. What belongs to a source that has not looked does not change.
 *
 * @param at ISO time of this look
 */
export function stepAlerts(
  state: AlertState,
  looks: readonly Seen[],
  at: string,
): { state: AlertState; changes: AlertChange[] } {
  const next = new Map(state)
  const changes: AlertChange[] = []
  for (const { source, findings } of looks) {
    const now = byId(source, findings)
    for (const [id, finding] of now) {
      const before = state.get(id) ?? begin(id, finding, at)
      const { watch, change } = seeAgain(before, finding, patienceOf(source, finding.code))
      next.set(id, watch)
      if (change !== null) changes.push({ kind: change, alert: watch.alert })
    }
    for (const [id, watch] of state) {
      if (now.has(id) || !id.startsWith(`${source}/`)) continue
      const absent = watch.absent + 1
      if (watch.isRaised && absent < patienceOf(source, watch.alert.code).overAfter) {
        next.set(id, { ...watch, absent, worse: 0 })
        continue
      }
      next.delete(id)
      if (watch.isRaised) changes.push({ kind: 'over', alert: { ...watch.alert, until: at } })
    }
  }
  return { state: next, changes }
}

/** Two findings of the same kind (lag in seconds and in bytes) are one problem. */
function byId(source: Source, findings: readonly Finding[]): Map<string, Finding> {
  const found = new Map<string, Finding>()
  for (const finding of findings) {
    const id = alertId(source, finding)
    const other = found.get(id)
    if (other === undefined) {
      found.set(id, finding)
      continue
    }
    const severity = [other, finding].some((one) => one.severity === 'error') ? 'error' : 'warning'
    found.set(id, { ...other, severity, message: `${other.message}; ${finding.message}` })
  }
  return found
}

function begin(id: string, finding: Finding, at: string): Watch {
  const { code, side, severity, message, fix, table = null } = finding
  const alert = { id, code, side, severity, table, message, fix, since: at, until: null }
  return { alert, isRaised: false, seen: 0, absent: 0, worse: 0 }
}

function seeAgain(
  before: Watch,
  finding: Finding,
  { raiseAfter }: Patience,
): { watch: Watch; change: 'raised' | 'worse' | null } {
  const { message, fix, severity } = finding
  const seen = before.seen + 1
  if (!before.isRaised) {
    const alert = { ...before.alert, message, fix, severity }
    const isRaised = seen >= raiseAfter
    return { watch: { alert, isRaised, seen, absent: 0, worse: 0 }, change: isRaised ? 'raised' : null }
  }
  const isWorse = severity === 'error' && before.alert.severity === 'warning'
  const worse = isWorse ? before.worse + 1 : 0
  const rises = isWorse && worse >= raiseAfter
  const alert = { ...before.alert, message, fix, ...(rises ? { severity } : {}) }
  return {
    watch: { alert, isRaised: true, seen, absent: 0, worse: rises ? 0 : worse },
    change: rises ? 'worse' : null,
  }
}
