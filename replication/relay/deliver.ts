import { backoffMs, sleep } from '../../core/backoff.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { failpoint } from '../../core/failpoint.ts'
import type { Logger } from '../../core/log.ts'
import type { Batch } from './batch.ts'
import type { Applied, FetchedRow, NeedRows, RowRequest } from './cloud-link.ts'
import { cloudHas, type CloudSession } from './cloud-side.ts'
import { decide, explainStop } from './decide.ts'

/** The part of the cloud's side that a delivery needs. */
export interface Reachable {
  reach(signal: AbortSignal): Promise<CloudSession>
  lose(error: unknown): void
  /** Asks the cloud anew who and where it is before anything else is sent. */
  forget(): void
  worked(progress: Applied['progress']): void
}

export interface DeliverOptions {
  cloud: Reachable
  /** rows of the primary by key, for updates that found none in the cloud */
  fetchRows: (requests: readonly RowRequest[]) => Promise<FetchedRow[]>
  quarantine: boolean
  /** what went over the wire, retries included */
  onBytes?: (transport: CloudSession['link']['name'], bytes: number) => void
  /** gives up in the middle of an attempt */
  signal: AbortSignal
  /** gives up between two attempts: the batch then goes elsewhere */
  patience: AbortSignal
  log: Logger
  retryMs?: number
  retryMaxMs?: number
}

/**
 * Brings one batch into the cloud, however often that takes; null when the patience ended first. What a broken
 * connection leaves open, whether its COMMIT took place, is settled by the progress that is read at the next
 * connection: a batch that is there is not sent again, and one that was sent twice takes effect once.
 *
 * @throws HomeportError for what no repetition cures; the signal's reason when it aborts.
 */
export async function deliver(batch: Batch, options: DeliverOptions): Promise<Applied | null> {
  const { cloud, signal, patience, log, retryMs = 100, retryMaxMs = 15_000 } = options
  const waiting = AbortSignal.any([signal, patience])
  let hasLookedAgain = false
  for (let attempt = 0; ; attempt += 1) {
    try {
      const session = await cloud.reach(waiting)
      if (cloudHas(session.progress, batch.end)) return alreadyThere(session)
      const applied = await applyWithRows(session, batch, options)
      cloud.worked(applied.progress)
      return applied
    } catch (error) {
      signal.throwIfAborted()
      const outOfPatience = patience.aborted
      if (outOfPatience && error === patience.reason) return null
      if (!hasLookedAgain && elsewhere.has(errorCode(error) ?? '')) {
        hasLookedAgain = true
        cloud.forget()
        continue
      }
      const decision = decide(error, { hasWorked: true })
      if (decision === 'stop') throw explainStop(error, 'cloud')
      log.warn({ err: error, decision, attempt, end: batch.end }, 'a batch did not get through')
      if (decision === 'reconnect') cloud.lose(error)
      if (outOfPatience) return null
    }
    await sleep(backoffMs({ attempt, baseMs: retryMs, maxMs: retryMaxMs }), waiting).catch(() => undefined)
    signal.throwIfAborted()
    if (patience.aborted) return null
  }
}

function alreadyThere(session: CloudSession): Applied {
  return { kind: 'applied', isNew: false, progress: session.progress, rows: 0, resolved: 0, quarantined: 0 }
}

/** The cloud is not where it was when we looked: the checks of a new connection say better what has happened to it. */
const elsewhere: ReadonlySet<string> = new Set(['RELAY_GAP', 'RELAY_STOPPED', 'NOT_SET_UP'])

/** How often the cloud may ask for more rows within one batch. */
const maxRounds = 100

async function applyWithRows(session: CloudSession, batch: Batch, options: DeliverOptions): Promise<Applied> {
  const fetched = new Map<string, FetchedRow>()
  for (let round = 0; round < maxRounds; round += 1) {
    await failpoint('relay.before-deliver')
    const outcome = await session.link.apply(batch, {
      lease: session.lease,
      quarantine: options.quarantine,
      signal: options.signal,
      onBytes: (bytes) => options.onBytes?.(session.link.name, bytes),
      ...(fetched.size === 0 ? {} : { fetched: [...fetched.values()] }),
    })
    if (outcome.kind === 'applied') return outcome
    const before = fetched.size
    for (const row of await fetch(outcome, options)) fetched.set(JSON.stringify([row.table, row.key]), row)
    options.log.info({ rows: fetched.size - before }, 'fetched rows that the cloud lacks')
    // It asks again for what it was given: that would go on for ever.
    if (fetched.size === before) break
  }
  throw new HomeportError(
    'ROWS_UNRESOLVED',
    `the cloud keeps asking for rows of the batch up to ${batch.end}`,
    {
      hint: 'ops reseed copies everything again; please report this, with the log',
    },
  )
}

/** The primary is at home, but it may be starting; a failure there says nothing about the cloud. */
async function fetch(needed: NeedRows, options: DeliverOptions): Promise<FetchedRow[]> {
  const { retryMs = 100, retryMaxMs = 15_000, signal, log } = options
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await options.fetchRows(needed.requests)
    } catch (error) {
      signal.throwIfAborted()
      if (decide(error, { hasWorked: true }) === 'stop') throw explainStop(error, 'primary')
      log.warn({ err: error }, 'rows could not be fetched from the primary')
    }
    await sleep(backoffMs({ attempt, baseMs: retryMs, maxMs: retryMaxMs }), signal)
  }
}
