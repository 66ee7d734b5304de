import type pg from 'pg'
import { errorCode } from '../../core/errors.ts'
import { fragment, identifier, joinSql, loadSql, renderSql } from '../../core/sql.ts'
import { parseLsn } from '../../core/lsn.ts'
import type { PublishedTable } from '../../core/published-tables.ts'
import { beat, readHeartbeat } from '../heartbeat.ts'
import { passFence, type FenceOutcome } from './fence.ts'
import { RelayFence } from './relay-fence.ts'
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
  /**
   * Holds TRUNCATE and ALTER TABLE of the tables off from the moment of each snapshot on, not only from the first reading on:
   * for tables that were emptied before they could be read, as replaced-table.ts says.
   */
  lockTables?: boolean
  /** Whether the slot outlives the opening, as {@link Window.slot}. */
  keepSlot?: boolean
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
  /** What tells of all writes after this moment, with `keepSlot`: whoever asked for it closes it; else null. */
  slot: TouchSlot | null
  close(): Promise<void>
}

/**
 * Opens one moment of each side, at one position of the log where a relay can be held still (see openFencedWindow), else so:
 * opens a snapshot on the primary at a known position (a new temporary slot exports it), waits until the
 * cloud has passed that position, opens the cloud's snapshot then, and reads from the slot which rows were
 * written on the primary up to a position after that: the cloud cannot have anything newer. So a row that
 * was not written in between and is not the same on both sides is wrong on the cloud, without doubt.
 *
 * @throws HomeportError what {@link openTouchSlot} and readUntil throw.
 */
export async function openWindow(options: WindowOptions): Promise<Window> {
  return (await openFencedWindow(options)) ?? openTouchedWindow(options)
}

/** The slot's wait for open transactions, while the relay stands. */
const fencedSlotTimeoutMs = 3000

/**
 * Where a relay fills the cloud: it stands still while the slot is made, goes on exactly to the slot's position, and stands
 * again until the cloud's snapshot is open. Both snapshots show the same commits, and nothing counts as touched. Null
 * where no relay can be held, or it does not get there in time.
 */
async function openFencedWindow(options: WindowOptions): Promise<Window | null> {
  const fence = await RelayFence.hold(options)
  if (fence === null) return null
  const opened: Snapshot[] = []
  let slot: TouchSlot | null = null
  let isKept = false
  try {
    slot = await openTouchSlot({ ...options, timeoutMs: fencedSlotTimeoutMs })
    const primary = await openSnapshot(options.primary, slot.snapshot)
    opened.push(primary)
    slot.start()
    await lockTables(options, primary)
    // What follows the position shows the relay that everything before has come.
    await beat(options.primary)
    if (!(await fence.moveTo(slot.lsn))) return null
    const cloud = await openSnapshot(options.cloud)
    opened.push(cloud)
    await lockTables(options, cloud)
    if (!(await fence.isShownBy(cloud, slot.lsn))) return null
    isKept = true
    return {
      primary,
      cloud,
      lsn: slot.lsn,
      fence: { passed: true, reason: null },
      isTouched: () => false,
      isWholeTouched: () => false,
      slot: options.keepSlot === true ? slot : null,
      close: () => closeAll(opened),
    }
  } catch (error) {
    // A slot that waits for long transactions may wait longer once nobody stands still for it.
    if (errorCode(error) === 'SLOT_WAITS') return null
    throw error
  } finally {
    await fence.release()
    if (!isKept) await closeAll(opened)
    if (!isKept || options.keepSlot !== true) await slot?.close()
  }
}

async function openTouchedWindow(options: WindowOptions): Promise<Window> {
  const slot = await openTouchSlot(options)
  const opened: Snapshot[] = []
  let isKept = false
  try {
    const primary = await openSnapshot(options.primary, slot.snapshot)
    opened.push(primary)
    slot.start()
    await lockTables(options, primary)
    const fence = await passWindowFence(options, slot, primary)
    const cloud = await openSnapshot(options.cloud)
    opened.push(cloud)
    await lockTables(options, cloud)
    const until = fence.passed ? await readTouched(options, slot) : 0n
    const { touched } = slot
    isKept = options.keepSlot === true
    return {
      primary,
      cloud,
      lsn: slot.lsn,
      fence,
      isTouched: (table, key) => !fence.passed || touched.isTouched(table, key, until),
      isWholeTouched: (table) => !fence.passed || touched.isWholeTouched(table, until),
      slot: isKept ? slot : null,
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  } finally {
    if (!isKept) await slot.close()
  }
}

async function lockTables(options: WindowOptions, { client }: Snapshot): Promise<void> {
  if (options.lockTables !== true) return
  const names = options.tables.map(({ name }) => fragment(`public.${identifier(name).sql}`))
  await client.query(renderSql('verify/lock-tables', { tables: joinSql(names) }))
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
