import { HomeportError } from '../../../core/errors.ts'
import { parseLsn } from '../../../core/lsn.ts'
import type { BatchHeader } from '../batch.ts'
import type { Lease, Progress } from '../cloud-link.ts'
import { damagedBatch, fenced, notSetUp, promoted } from './errors.ts'
import type { FlightRow } from './flight.ts'

/** The progress row, locked until the end of the transaction. */
export interface LockedProgress {
  progress: Progress
  holder: string | null
  holderName: string | null
  /** tables whose copy is younger than the progress, and the position of that copy */
  settled: ReadonlyMap<string, bigint>
  /** the same tables; what ended here or before is in all of the copy, and would only go back in time */
  copied: ReadonlyMap<string, bigint>
}

/** What an answer of lock-progress.sql says; null when there is no row. */
export function readLockedProgress(row: FlightRow | undefined): LockedProgress | null {
  if (row === undefined) return null
  const positions = (name: string): ReadonlyMap<string, bigint> => {
    const found = JSON.parse(row[name] ?? '{}') as Record<string, string>
    return new Map(Object.entries(found).map(([table, lsn]) => [table, parseLsn(lsn)]))
  }
  return {
    progress: readProgressRow(row),
    holder: row['holder'] ?? null,
    holderName: row['holderName'] ?? null,
    settled: positions('settled'),
    copied: positions('copied'),
  }
}

/** The columns of a progress row, all as text. */
export function readProgressRow(row: FlightRow): Progress {
  const text = (name: string): string => {
    const value = row[name]
    if (value === undefined || value === null) throw damagedBatch(`the progress row has no ${name}`)
    return value
  }
  return {
    slot: text('slot'),
    systemIdentifier: text('systemIdentifier'),
    timeline: Number(text('timeline')),
    commitLsn: text('commitLsn'),
    endLsn: text('endLsn'),
    sequence: text('sequence'),
    epoch: text('epoch'),
    state: text('state') as Progress['state'],
  }
}

/** How a batch meets the progress of the cloud. */
export type ChainVerdict =
  | { kind: 'apply'; /** transactions that ended here or before are there already */ skipThrough: bigint }
  | { kind: 'duplicate' }

/**
 * Whether a batch may be applied, and from where on.
 *
 * @throws HomeportError PROMOTED, RELAY_FENCED, PRIMARY_CHANGED, SEED_UNFINISHED, RELAY_STOPPED, RELAY_GAP, NOT_SET_UP.
 */
export function judgeChain(
  locked: LockedProgress | null,
  lease: Lease,
  batch: Pick<BatchHeader, 'slot' | 'systemIdentifier' | 'timeline' | 'after' | 'end'>,
): ChainVerdict {
  if (batch.slot !== lease.slot) {
    throw damagedBatch(`it was read from slot ${batch.slot}, the lease is for ${lease.slot}`)
  }
  if (locked === null) throw notSetUp(lease.slot)
  const { progress, holder, holderName } = locked
  if (progress.state === 'promoted') throw promoted(lease.slot)
  if (progress.epoch !== lease.epoch || holder !== lease.holder) throw fenced(lease.slot, holderName)
  judgePrimary(progress, batch)
  judgeState(progress)
  const cloudEnd = parseLsn(progress.endLsn)
  const after = parseLsn(batch.after)
  const end = parseLsn(batch.end)
  if (after > end) throw damagedBatch(`it ends at ${batch.end}, before its start at ${batch.after}`)
  // An idle position that the cloud is at already changes nothing either.
  if (cloudEnd >= end) return { kind: 'duplicate' }
  if (cloudEnd < after) {
    throw new HomeportError(
      'RELAY_GAP',
      `the cloud has everything up to ${progress.endLsn}, this batch begins at ${batch.after}: ` +
        `${after - cloudEnd} bytes of log between them are missing`,
      {
        hint: 'start the relay again: it goes on from where the cloud is; if the slot is past that: ops reseed',
      },
    )
  }
  return { kind: 'apply', skipThrough: cloudEnd }
}

/** @throws HomeportError PRIMARY_CHANGED when somebody else's changes would be applied. */
export function judgePrimary(
  progress: Pick<Progress, 'systemIdentifier' | 'timeline'>,
  primary: { systemIdentifier: string; timeline: number },
): void {
  if (primary.systemIdentifier === progress.systemIdentifier && primary.timeline === progress.timeline) return
  const is = `system identifier ${primary.systemIdentifier}, timeline ${primary.timeline}`
  const was = `${progress.systemIdentifier}, timeline ${progress.timeline}`
  throw new HomeportError(
    'PRIMARY_CHANGED',
    `this primary (${is}) is not the one that the cloud follows (${was}): it was restored, promoted or made anew`,
    { hint: 'compare both sides before anything is thrown away; then ops reseed copies everything again' },
  )
}

function judgeState({ state, slot }: Progress): void {
  if (state === 'seeding') {
    throw new HomeportError('SEED_UNFINISHED', `the initial copy for slot ${slot} is not complete`, {
      hint: 'ops setup-replication --mode relay goes on with it',
    })
  }
  if (state === 'stopped') {
    throw new HomeportError('RELAY_STOPPED', `the relay of slot ${slot} was stopped`, {
      hint: 'ops status says why; then start ops relay again',
    })
  }
}

/** Whether what was assumed of the cloud before its answer came is what it said. */
export function isAsAssumed(
  assumed: { skipThrough: bigint; settled: ReadonlyMap<string, bigint> },
  verdict: { skipThrough: bigint },
  locked: LockedProgress,
): boolean {
  const same = [...locked.settled].every(([table, lsn]) => assumed.settled.get(table) === lsn)
  return assumed.skipThrough === verdict.skipThrough && same && assumed.settled.size === locked.settled.size
}
