import { parseLsn } from '../../core/lsn.ts'
import type { CheckpointHead, KeptRange, SideMoment } from './checkpoint-lines.ts'

/** Older than this it is not used, whatever else says that it could be. */
export const keptForMs = 24 * 3_600_000

/** Half of what 32 bits can tell apart: from there on an old row looks young, and later a young one old. */
const maxTransactions = 2n ** 30n

/**
 * Pure: why nothing that is true of the earlier moments says anything about these, in words; null when it does.
 *
 * A range that was the same on both sides is the same now if nobody wrote its rows since, on either side: whatever
 * moments the two new snapshots are, and whoever might have written. That they are unwritten is counted in each
 * new snapshot: as many rows as then, none with an xmin at or after the xmin of the snapshot of then.
 *
 * - Whoever wrote since has an xid at or after that: every transaction before it had ended, and a subtransaction's xid
 *   is greater than its parent's. So a row with an older one was there then, as it is now.
 * - A row that was deleted since is missing in the count, and none can make up for it: one that was not there is young.
 * - A frozen row still shows its xmin, and one that is too old to be told apart looks young: it is hashed again.
 *
 * This holds while history goes on without a break, and while rows change only by being written. Therefore:
 *
 * - The same server, which nobody started since: to put back a backup or the image of a disk, a server has to be
 *   stopped. Its xids, and the positions of its log, would come again for other rows. (A machine that is put back
 *   together with its memory is beyond what can be known here: --anew is for that.)
 * - A process of the server that crashes lets all others begin anew, and the start time does not tell. What was not on
 *   the disk then is lost, and its xids come again: so a range is only kept once the log is flushed beyond its snapshot.
 * - The same table with the same columns, to the very rows of the catalogue: TRUNCATE, a rewrite, a column that is
 *   dropped and added with another default, a child that is attached, change what is read but no xmin.
 * - What no transaction writes, such as a disk that decays, only a look at every row can see: --anew.
 */
export function whyUnusable(then: CheckpointHead, now: CheckpointHead): string | null {
  if (then.definition !== now.definition) return 'other columns are compared now, or in another way'
  return (
    whySideUnusable('primary', then.primary, now.primary) ?? whySideUnusable('cloud', then.cloud, now.cloud)
  )
}

function whySideUnusable(side: string, then: SideMoment, now: SideMoment): string | null {
  const is = (field: keyof SideMoment): boolean => then[field] === now[field]
  if (!is('systemIdentifier') || !is('databaseOid')) return `the ${side} is another one`
  if (!is('startedAt')) return `the server of the ${side} was started anew since`
  if (!is('timeline')) return `the ${side} was promoted or restored since`
  const transactions = BigInt(now.xmin) - BigInt(then.xmin)
  if (transactions < 0n || parseLsn(now.lsn) < parseLsn(then.lsn)) return `the ${side} was restored since`
  if (transactions > maxTransactions) return `too many transactions were made on the ${side} since`
  if (then.layout === null || !is('layout'))
    return `its table on the ${side} was altered, emptied or rewritten since`
  return null
}

/** Pure: the ranges that were hashed within the last day. */
export function freshRanges(ranges: readonly KeptRange[], nowMs: number): KeptRange[] {
  return ranges.filter(({ at }) => at <= nowMs && nowMs - at < keptForMs)
}

/** What begins a page of the log, but for the first page of a segment. */
const pageHeaderBytes = 24n

/** Where the log is on the disk, and the length of its pages. */
export interface FlushPosition {
  lsn: string
  pageBytes: number
}

/**
 * Pure: whether the log is on the disk up to an insert position. At the end of a full page that position lies behind the
 * next page's header, which is not written before something follows it. (No record ends right there: it would be
 * shorter than the shortest.)
 */
export function isFlushed(insertLsn: string, flushed: FlushPosition): boolean {
  const insert = parseLsn(insertLsn)
  const end = insert % BigInt(flushed.pageBytes) === pageHeaderBytes ? insert - pageHeaderBytes : insert
  return parseLsn(flushed.lsn) >= end
}
