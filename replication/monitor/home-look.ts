import type pg from 'pg'
import { parseLsn } from '../../core/lsn.ts'
import { loadSql } from '../../core/sql.ts'
import type { DiskSpace } from '../relay/primary-disk.ts'
import { readWalBudget } from '../relay/wal-budget.ts'
import { forecastEnd, forecastWindowMs, type WalEnd, type WalSample } from '../relay/wal-forecast.ts'
import { readSlots, type SlotFacts } from '../slot.ts'
import type { MonitorSample } from './sample.ts'

/** What the primary alone can tell: while the cloud is away its log grows, and this is when it has to be watched. */
export interface HomeLook {
  slot: SlotFacts | null
  /** with the primary's log; null where it cannot be known */
  disk: DiskSpace | null
  forecast: WalEnd | null
  walBytesPerSecond: number | null
  proofs: MonitorSample['tables']
  /** for the next look */
  log: LogHistory
}

/** What looks before this one saw of the primary's log. */
export interface LogHistory {
  samples: readonly WalSample[]
  /** `atMs` by a clock that only runs forward, `wallMs` since 1970 */
  lsn: { text: string; atMs: number; wallMs: number } | null
}

export const noLogHistory: LogHistory = { samples: [], lsn: null }

export interface HomeLookOptions {
  primary: pg.Pool
  log?: LogHistory
  /** the cloud whose proofs are meant, as readDatabaseIdentity names it; all of them where it is not known */
  cloudIdentity?: string | null
  /** where the primary's data is on this machine, where the server does not say it */
  dataFolder?: string
}

/** Without `slotName` the only slot of ours, where there is just one: whose it is, only the cloud could say. */
export async function lookAtHome(options: HomeLookOptions & { slotName?: string }): Promise<HomeLook> {
  const { primary, slotName } = options
  const slots = await readSlots(primary)
  const [only] = slots.length === 1 ? slots : []
  const slot = slotName === undefined ? only : slots.find(({ name }) => name === slotName)
  return lookAtLog(slot ?? null, options)
}

/** @throws HomeportError SLOT_MISSING when the slot went away just now. */
export async function lookAtLog(slot: SlotFacts | null, options: HomeLookOptions): Promise<HomeLook> {
  const { primary, dataFolder, log = noLogHistory, cloudIdentity = null } = options
  const proofs = await readProofs(primary, cloudIdentity)
  if (slot === null)
    return { slot, disk: null, forecast: null, walBytesPerSecond: null, proofs, log: noLogHistory }
  const wal = await readWalBudget(primary, slot.name, dataFolder === undefined ? {} : { dataFolder })
  const { atMs, retainedBytes, disk } = wal
  const lsn = { text: slot.currentLsn, atMs, wallMs: Date.now() }
  const before = hasSlept(log.lsn, lsn) ? noLogHistory : log
  const samples = before.samples.filter((sample) => atMs - sample.atMs <= forecastWindowMs)
  return {
    slot,
    disk,
    forecast: wellFounded(forecastEnd(wal, samples), atMs - (samples[0]?.atMs ?? atMs)),
    walBytesPerSecond: walRate(before.lsn, lsn),
    proofs,
    log: { samples: [...samples, { atMs, retainedBytes, disk }], lsn },
  }
}

/** Ten minutes of looks tell of a day, and no shorter time of a longer one. */
const reach = 86_400_000 / forecastWindowMs

/** Pure: a forecast, unless it looks further than what it rests on can tell: moments of a busy disk are no trend. */
export function wellFounded(end: WalEnd | null, seenMs: number): WalEnd | null {
  return end !== null && end.seconds * 1000 <= reach * seenMs ? end : null
}

type Moment = Pick<NonNullable<LogHistory['lsn']>, 'atMs' | 'wallMs'>

const sleptMs = 30_000

/**
 * Pure: whether this machine slept between two looks. Then the clock that only runs forward stood still, and what
 * the primary wrote in hours would look as if written in moments. A clock that is set looks the same: nothing is lost.
 */
export function hasSlept(before: Moment | null, now: Moment): boolean {
  return before !== null && Math.abs(now.wallMs - before.wallMs - (now.atMs - before.atMs)) > sleptMs
}

/** Pure: log written between two looks, bytes a second; null without an earlier one, and after a primary was restored. */
export function walRate(
  before: { text: string; atMs: number } | null,
  now: { text: string; atMs: number },
): number | null {
  if (before === null || now.atMs <= before.atMs) return null
  const bytes = Number(parseLsn(now.text) - parseLsn(before.text))
  return bytes < 0 ? null : Math.round((bytes * 1000) / (now.atMs - before.atMs))
}

interface ProofRow {
  table: string
  verdict: MonitorSample['tables'][number]['verdict']
  rows: string
  checkedAt: Date
  fullAt: Date | null
}

async function readProofs(primary: pg.Pool, about: string | null): Promise<MonitorSample['tables']> {
  const { rows } = await primary.query<ProofRow>(loadSql('monitor/proofs'), [about])
  return rows.map((row) => ({
    table: row.table,
    verdict: row.verdict,
    rows: Number(row.rows),
    checkedAt: row.checkedAt.toISOString(),
    fullAt: row.fullAt?.toISOString() ?? null,
  }))
}
