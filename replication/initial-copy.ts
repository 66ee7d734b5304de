import type { Queryable } from '../core/db.ts'
import { sleep } from '../core/backoff.ts'
import { HomeportError } from '../core/errors.ts'
import { subscriptionName } from '../core/published-tables.ts'
import { loadSql } from '../core/sql.ts'
import { readSubscription, readSubscriptionTables, type SubscriptionTable } from './subscription.ts'

export interface CopyProgress {
  tablesReady: number
  tables: number
  /** rows copied so far, as far as the server shows them */
  rows: number
  rowsPerSecond: number
  seconds: number
  /** set when nothing has moved for a while: what is known about the cause */
  stall: string | null
}

export interface SubscriptionWorkers {
  applyPid: number | null
  receivedLsn: string | null
  silentSeconds: number | null
  applyErrors: number
  syncErrors: number
}

export interface WaitForCopyOptions {
  cloud: Queryable
  /** stop waiting after this long; never by default */
  timeoutMs?: number
  /** no movement for this long is called a stall */
  stallMs?: number
  pollMs?: number
  signal?: AbortSignal
  onProgress?: (progress: CopyProgress) => void
}

/** The workers of our subscription and the errors they have met; null when there is no subscription. */
export async function readSubscriptionWorkers(cloud: Queryable): Promise<SubscriptionWorkers | null> {
  const { rows } = await cloud.query<SubscriptionWorkers>(loadSql('checks/subscription-workers'), [
    subscriptionName,
  ])
  return rows[0] ?? null
}

/**
 * Waits until every table of the subscription is copied and follows.
 *
 * @throws HomeportError SUBSCRIPTION_DISABLED, COPY_FAILS after three attempts, COPY_TIMEOUT.
 */
export async function waitForInitialCopy(options: WaitForCopyOptions): Promise<CopyProgress> {
  const startedAt = performance.now()
  const seen = new Map<string, number>()
  let movedAt = startedAt
  let lastState = ''
  const syncErrorsBefore = (await readSubscriptionWorkers(options.cloud))?.syncErrors ?? 0
  for (;;) {
    const tables = await readSubscriptionTables(options.cloud)
    for (const table of tables) {
      seen.set(table.table, Math.max(seen.get(table.table) ?? 0, Number(table.copiedRows)))
    }
    const state = JSON.stringify(tables)
    const now = performance.now()
    if (state !== lastState) movedAt = now
    lastState = state
    const progress = measureProgress(tables, seen, (now - startedAt) / 1000)
    if (tables.length > 0 && progress.tablesReady === tables.length) {
      options.onProgress?.(progress)
      return progress
    }
    const stalled = now - movedAt > (options.stallMs ?? 15_000)
    progress.stall = await findStall(options.cloud, tables, stalled, syncErrorsBefore)
    options.onProgress?.(progress)
    if (options.timeoutMs !== undefined && now - startedAt > options.timeoutMs) {
      throw new HomeportError(
        'COPY_TIMEOUT',
        `the initial copy is not done: ${progress.tablesReady} of ${progress.tables} tables are ready`,
        { hint: progress.stall ?? 'it goes on by itself; ops status shows how far it is' },
      )
    }
    await sleep(options.pollMs ?? 100, options.signal)
  }
}

function measureProgress(
  tables: readonly SubscriptionTable[],
  seen: ReadonlyMap<string, number>,
  seconds: number,
): CopyProgress {
  const rows = [...seen.values()].reduce((sum, count) => sum + count, 0)
  return {
    tablesReady: tables.filter((table) => table.state === 'r').length,
    tables: tables.length,
    rows,
    rowsPerSecond: seconds > 0 ? Math.round(rows / seconds) : 0,
    seconds,
    stall: null,
  }
}

async function findStall(
  cloud: Queryable,
  tables: readonly SubscriptionTable[],
  stalled: boolean,
  syncErrorsBefore: number,
): Promise<string | null> {
  const subscription = await readSubscription(cloud)
  if (subscription === null) {
    throw new HomeportError('NO_SUBSCRIPTION', 'the cloud has no subscription any more', {
      hint: 'ops setup-replication',
    })
  }
  if (!subscription.enabled) {
    throw new HomeportError('SUBSCRIPTION_DISABLED', 'the subscription is switched off', {
      hint: 'the log of the cloud server says whether an error did it; run ops setup-replication again',
    })
  }
  const workers = await readSubscriptionWorkers(cloud)
  const failed = Math.max(0, (workers?.syncErrors ?? 0) - syncErrorsBefore)
  if (failed >= 3) {
    const waiting = tables.filter((table) => table.state !== 'r').map((table) => table.table)
    throw new HomeportError('COPY_FAILS', `copying ${waiting.join(', ')} has failed ${failed} times`, {
      hint: 'the log of the cloud server names the reason; correct it: the copy goes on by itself, and ops setup-replication watches it',
    })
  }
  return stalled ? explainStall(tables, workers) : null
}

/** Why an initial copy does not move, from what the cloud server shows. */
export function explainStall(
  tables: readonly SubscriptionTable[],
  workers: SubscriptionWorkers | null,
): string {
  const waiting = tables.filter((table) => table.state !== 'r').map((table) => table.table)
  const names = waiting.join(', ')
  if (workers === null || workers.applyPid === null) {
    return 'no worker runs on the cloud: it cannot reach the primary at the moment, or max_logical_replication_workers is used up'
  }
  if (workers.syncErrors > 0) {
    return `copying ${names} has failed ${workers.syncErrors} times; the log of the cloud server names the error`
  }
  if (workers.applyErrors > 0) {
    return `applying changes has failed ${workers.applyErrors} times; the log of the cloud server names the error`
  }
  if (tables.some((table) => table.state === 'd' && table.copiedRows === '0')) {
    return `the copy of ${names} waits for the primary: an old transaction that wrote is still open there, or no slot or wal sender is free`
  }
  if ((workers.silentSeconds ?? 0) > 30) {
    return `the primary has been silent for ${Math.round(workers.silentSeconds ?? 0)} s: the connection may be dead`
  }
  return `waiting for ${names}`
}
