import type pg from 'pg'
import { loadSql } from '../../core/sql.ts'
import { parseLsn } from '../../core/lsn.ts'
import type { PublishedTable } from '../../core/published-tables.ts'
import { beat, readHeartbeat } from '../heartbeat.ts'
import { passFence, type FenceOutcome } from './fence.ts'
import type { Key } from './row-hash.ts'
import { openSnapshot, type Snapshot } from './snapshot.ts'
import { openTouchSlot, type TouchSlot } from './touch-slot.ts'

export interface WindowOptions {
  primary: pg.Pool
  cloud: pg.Pool
  /** the primary, as a role that may replicate */
  replicationUrl: string
  tables: readonly PublishedTable[]
  /**
   * Whether the marker that the cloud has to see is a heartbeat; for the heartbeat table itself the
   * cloud's position is waited for instead, which writes nothing.
   */
  withBeat: boolean
  /** how long the cloud may take to pass the primary's moment (default 60 s) */
  fenceTimeoutMs?: number
  /** how long the slot may wait for open transactions, and its log for us (default 30 s) */
  timeoutMs?: number
  signal?: AbortSignal
}

/** One moment of each side, and what was written between the two. */
export interface Window {
  primary: Snapshot
  cloud: Snapshot
  /** the primary's moment: exactly the commits before it */
  lsn: string
  /** whether the cloud's moment lies after the primary's; if not, why, in words */
  fence: FenceOutcome
  /** Whether the primary may have written this row between the two moments. Anything else must be the same on both sides. */
  isTouched(table: string, key: Key): boolean
  isWholeTouched(table: string): boolean
  close(): Promise<void>
}

/**
 * Opens a snapshot on the primary at a known position (a new temporary slot exports it), waits until the
 * cloud has passed that position, opens the cloud's snapshot then, and reads from the slot which rows were
 * written on the primary up to a position after that: the cloud cannot have anything newer. So a row that
 * was not written in between and is not the same on both sides is wrong on the cloud, without doubt.
 *
 * @throws HomeportError what {@link openTouchSlot} and readUntil throw.
 */
export async function openWindow(options: WindowOptions): Promise<Window> {
  const slot = await openTouchSlot(options)
  const opened: Snapshot[] = []
  try {
    const primary = await openSnapshot(options.primary, slot.snapshot)
    opened.push(primary)
    slot.start()
    const fence = await passWindowFence(options, slot, primary)
    const cloud = await openSnapshot(options.cloud)
    opened.push(cloud)
    const until = fence.passed ? await readTouched(options, slot) : 0n
    const { touched } = slot
    return {
      primary,
      cloud,
      lsn: slot.lsn,
      fence,
      isTouched: (table, key) => !fence.passed || touched.isTouched(table, key, until),
      isWholeTouched: (table) => !fence.passed || touched.isWholeTouched(table, until),
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  } finally {
    await slot.close()
  }
}

async function passWindowFence(
  options: WindowOptions,
  slot: TouchSlot,
  primary: Snapshot,
): Promise<FenceOutcome> {
  const { withBeat, signal } = options
  const seen = withBeat ? null : await readHeartbeat(primary.client)
  return passFence({
    primary: options.primary,
    cloud: options.cloud,
    timeoutMs: options.fenceTimeoutMs ?? 60_000,
    passed: withBeat ? { beat: true } : { beat: false, lsn: slot.lsn, atLeastBeat: seen?.beat ?? null },
    ...(signal === undefined ? {} : { signal }),
  })
}

/** Reads the slot up to a position that lies after everything the cloud's snapshot can hold. */
async function readTouched(options: WindowOptions, slot: TouchSlot): Promise<bigint> {
  // Not the flushed position: a commit that the cloud has may be flushed, and the next record not.
  const { rows } = await options.primary.query<{ lsn: string }>(loadSql('verify/insert-position'))
  const until = rows[0]?.lsn ?? slot.lsn
  // Its commit flushes everything before; the log is sent only as far as it is flushed.
  await beat(options.primary)
  await slot.readUntil(until, options.signal)
  return parseLsn(until)
}

async function closeAll(snapshots: readonly Snapshot[]): Promise<void> {
  await Promise.all(snapshots.map((one) => one.close()))
}
