import { formatBytes, formatDuration } from '../../core/amounts.ts'
import type { Queryable } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import { readPrimaryDisk, type DiskSpace } from './primary-disk.ts'
import type { SpoolSpace } from './spool/spool.ts'
import { forecastEnd, forecastWindowMs, type WalSample } from './wal-forecast.ts'

/** How much log the primary keeps for a slot, and how much more it may. */
export interface WalFacts {
  /** by a clock that only runs forward */
  atMs: number
  slot: string
  /** reserved, extended, unreserved or lost */
  walStatus: string | null
  retainedBytes: number
  /** may still be written before the slot can be cut off; null without a limit, and when it is lost */
  safeWalBytes: number | null
  /** max_slot_wal_keep_size; null when there is no limit */
  keepLimitBytes: number | null
  /** with the primary's log; null where it cannot be known, see {@link readPrimaryDisk} */
  disk: DiskSpace | null
}

interface WalRow {
  walStatus: string | null
  retainedBytes: string | null
  safeWalBytes: string | null
  keepLimitMb: string | null
  dataDirectory: string | null
  serverAddress: string | null
}

/**
 * Needs no privilege beyond connecting.
 *
 * @param options.dataFolder where the primary's data is on this machine, where the server does not say it
 * @throws HomeportError SLOT_MISSING.
 */
export async function readWalBudget(
  primary: Queryable,
  slot: string,
  options: { dataFolder?: string } = {},
): Promise<WalFacts> {
  const { rows } = await primary.query<WalRow>(loadSql('relay/wal-budget'), [slot])
  const row = rows[0]
  if (row === undefined) {
    throw new HomeportError('SLOT_MISSING', `the primary has no slot ${slot}`, { hint: 'ops reseed' })
  }
  const number = (text: string | null): number | null => (text === null ? null : Number(text))
  const keepLimitMb = number(row.keepLimitMb)
  return {
    atMs: performance.now(),
    slot,
    walStatus: row.walStatus,
    retainedBytes: number(row.retainedBytes) ?? 0,
    safeWalBytes: number(row.safeWalBytes),
    keepLimitBytes: keepLimitMb === null ? null : keepLimitMb * 1024 ** 2,
    disk: await readPrimaryDisk({
      primary,
      dataDirectory: row.dataDirectory,
      serverAddress: row.serverAddress,
      ...(options.dataFolder === undefined ? {} : { givenFolder: options.dataFolder }),
    }),
  }
}

/**
 * What to do about the log that waits: leave it in the slot; put it into the spool, so that the primary may drop
 * it; and ask ingest to wait as well, for even that will soon be too much.
 */
export type WalAction = 'hold' | 'spool' | 'pauseIngest'

export interface WalLimits {
  /** of the budget at which spooling begins, 0 to 1; it ends at half of that (RELAY_WAL_SHARE) */
  spoolShare: number
  /** of the budget, or of the spool, at which ingest is asked to wait; it may go on at three quarters of that */
  pauseShare: number
  /** the primary's disk is nearly full below this; default 4 GB, or a tenth of a small disk */
  lowDiskBytes?: number
  /** the budget where neither a limit nor the disk is known */
  assumedBudgetBytes: number
}

export const defaultWalLimits: WalLimits = {
  spoolShare: 0.5,
  pauseShare: 0.8,
  assumedBudgetBytes: 8 * 1024 ** 3,
}

/** What was seen before, and what was decided then. */
export interface WalHistory {
  samples: readonly WalSample[]
  action: WalAction
}

export const noWalHistory: WalHistory = { samples: [], action: 'hold' }

export interface WalVerdict {
  action: WalAction
  /** of what the slot may keep, by its limit or by the disk, whichever is nearer; 1 is all */
  usedShare: number
  /** until the slot is cut off, or the disk full, at the rate of the last minutes; null while it does not grow */
  secondsToCut: number | null
  /** a sentence for a person, and for the ingest that waits */
  message: string
}

/** Decides, and forecasts. Pure: `history` is what {@link rememberWal} made of the looks before this one. */
export function judgeWalBudget(
  facts: WalFacts & { spool?: SpoolSpace },
  history: WalHistory,
  limits: WalLimits = defaultWalLimits,
): WalVerdict {
  if (facts.walStatus === 'lost') {
    const message = `the slot ${facts.slot} is lost: the primary threw away log that the cloud does not have`
    return { action: 'hold', usedShare: 1, secondsToCut: 0, message }
  }
  const budget = measureBudget(facts, limits)
  const end = forecastEnd(facts, history.samples)
  const action = decide(history.action, { facts, usedShare: budget.usedShare, limits })
  return {
    action,
    usedShare: budget.usedShare,
    secondsToCut: end?.seconds ?? null,
    message: [
      `the slot keeps ${formatBytes(facts.retainedBytes)} of log, ${percent(budget.usedShare)} of ${budget.what}`,
      ...(end === null ? [] : [`at this rate ${end.what} in ${formatDuration(end.seconds * 1000)}`]),
      ...(isDiskLow(facts, limits, 1)
        ? [`its disk has only ${formatBytes(facts.disk?.freeBytes ?? 0)} left`]
        : []),
      ...(spoolShare(facts.spool) >= limits.pauseShare
        ? [`the spool is ${percent(spoolShare(facts.spool))} full`]
        : []),
    ].join('; '),
  }
}

function measureBudget(facts: WalFacts, limits: WalLimits): { usedShare: number; what: string } {
  const { retainedBytes, safeWalBytes, keepLimitBytes, disk } = facts
  const share = (leftBytes: number): number =>
    leftBytes <= 0 ? 1 : Math.min(1, retainedBytes / (retainedBytes + leftBytes))
  const shares: { usedShare: number; what: string }[] = []
  if (facts.walStatus === 'unreserved') {
    shares.push({ usedShare: 1, what: 'what it may: the next checkpoint cuts it off' })
  } else if (safeWalBytes !== null) {
    const limit = formatBytes(keepLimitBytes ?? retainedBytes + safeWalBytes)
    shares.push({ usedShare: share(safeWalBytes), what: `what it may (max_slot_wal_keep_size ${limit})` })
  }
  if (disk !== null) {
    const room = formatBytes(retainedBytes + disk.freeBytes)
    shares.push({ usedShare: share(disk.freeBytes), what: `the ${room} that its disk has for it` })
  }
  if (shares.length === 0) {
    const { assumedBudgetBytes } = limits
    const what = `${formatBytes(assumedBudgetBytes)} (a guess: it has no limit, and its disk is not known)`
    shares.push({ usedShare: Math.min(1, retainedBytes / assumedBudgetBytes), what })
  }
  return shares.reduce((worst, one) => (one.usedShare > worst.usedShare ? one : worst))
}

interface Deciding {
  facts: WalFacts & { spool?: SpoolSpace }
  usedShare: number
  limits: WalLimits
}

/** Up at once, down only when it is well below: a share that trembles at a limit changes nothing. */
function decide(before: WalAction, given: Deciding): WalAction {
  const { usedShare, limits } = given
  if (isPauseDue(given, before === 'pauseIngest' ? 0.75 : 1)) return 'pauseIngest'
  const isSpooling = before !== 'hold'
  return usedShare >= limits.spoolShare * (isSpooling ? 0.5 : 1) ? 'spool' : 'hold'
}

function isPauseDue({ facts, usedShare, limits }: Deciding, easing: number): boolean {
  const share = limits.pauseShare * easing
  return usedShare >= share || spoolShare(facts.spool) >= share || isDiskLow(facts, limits, 1 / easing)
}

function spoolShare(spool: SpoolSpace | undefined): number {
  if (spool === undefined) return 0
  const all = spool.bytes + spool.leftBytes
  return all <= 0 ? 1 : spool.bytes / all
}

function isDiskLow({ disk }: WalFacts, limits: WalLimits, factor: number): boolean {
  if (disk === null) return false
  const low = limits.lowDiskBytes ?? Math.min(4 * 1024 ** 3, disk.totalBytes / 10)
  return disk.freeBytes < low * factor
}

/** The history for the next look; what no forecast needs any more is dropped. */
export function rememberWal(history: WalHistory, facts: WalFacts, verdict: WalVerdict): WalHistory {
  const { atMs, retainedBytes, disk } = facts
  const kept = history.samples.filter((sample) => atMs - sample.atMs <= forecastWindowMs)
  return { samples: [...kept, { atMs, retainedBytes, disk }], action: verdict.action }
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`
}
