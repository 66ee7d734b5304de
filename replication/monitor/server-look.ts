import type pg from 'pg'
import { parseLsn } from '../../core/lsn.ts'
import { loadSql } from '../../core/sql.ts'
import { publishedTables } from '../../core/published-tables.ts'
import type { Finding } from '../finding.ts'
import { readHealth, type ReplicationHealth } from '../health.ts'
import type { DiskSpace } from '../relay/primary-disk.ts'
import { readWalBudget } from '../relay/wal-budget.ts'
import { forecastEnd, forecastWindowMs, type WalEnd, type WalSample } from '../relay/wal-forecast.ts'
import { judgeSchema } from '../schema-verdicts.ts'
import { readServerFacts, type ServerFacts } from '../server-facts.ts'
import type { SlotFacts } from '../slot.ts'
import { readTableFacts } from '../table-facts.ts'
import type { MonitorSample } from './sample.ts'
import { endOf, judgeVersions } from './verdicts.ts'

export interface Servers {
  primary: pg.Pool
  cloud: pg.Pool
}

/** Both servers at one moment, content and schema aside. */
export interface ServerLook {
  health: ReplicationHealth
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
  lsn: { text: string; atMs: number } | null
}

export const noLogHistory: LogHistory = { samples: [], lsn: null }

export interface LookOptions extends Servers {
  before?: Pick<ServerLook, 'health' | 'log'>
  /** where the primary's data is on this machine, where the server does not say it */
  dataFolder?: string
}

export async function lookAtServers(options: LookOptions): Promise<ServerLook> {
  const { primary, cloud, before, dataFolder } = options
  const health = await readHealth(primary, cloud, before?.health)
  const proofs = await readProofs(primary)
  const history = before?.log ?? noLogHistory
  if (health.slot === null) {
    return { health, disk: null, forecast: null, walBytesPerSecond: null, proofs, log: noLogHistory }
  }
  const wal = await readWalBudget(primary, health.slot.name, dataFolder === undefined ? {} : { dataFolder })
  const { atMs, retainedBytes, disk } = wal
  const lsn = { text: health.slot.currentLsn, atMs }
  const samples = history.samples.filter((sample) => atMs - sample.atMs <= forecastWindowMs)
  return {
    health,
    disk,
    forecast: wellFounded(forecastEnd(wal, samples), atMs - (samples[0]?.atMs ?? atMs)),
    walBytesPerSecond: walRate(history.lsn, lsn),
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

/** Pure: log written between two looks, bytes a second; null without an earlier one, and after a primary was restored. */
export function walRate(before: LogHistory['lsn'], now: NonNullable<LogHistory['lsn']>): number | null {
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

async function readProofs(primary: pg.Pool): Promise<MonitorSample['tables']> {
  const { rows } = await primary.query<ProofRow>(loadSql('monitor/proofs'))
  return rows.map((row) => ({
    table: row.table,
    verdict: row.verdict,
    rows: Number(row.rows),
    checkedAt: row.checkedAt.toISOString(),
    fullAt: row.fullAt?.toISOString() ?? null,
  }))
}

/** What changes seldom on both servers: versions and schema. */
export interface Fittings {
  primary: ServerFacts
  cloud: ServerFacts
  findings: readonly Finding[]
}

export async function readFittings({ primary, cloud }: Servers): Promise<Fittings> {
  const [ours, theirs, ourTables, theirTables] = await Promise.all([
    readServerFacts(primary),
    readServerFacts(cloud),
    readTableFacts(primary, publishedTables),
    readTableFacts(cloud, publishedTables),
  ])
  const schema = judgeSchema({ tables: publishedTables, primary: ourTables, cloud: theirTables })
  return { primary: ours, cloud: theirs, findings: [...judgeVersions(ours, theirs), ...schema] }
}

/** Pure: a look as it is kept and shown. */
export function toSample(
  look: ServerLook | null,
  more: Pick<MonitorSample, 'at' | 'recall' | 'unreachable'>,
  last: MonitorSample | null,
): MonitorSample {
  const { at, recall, unreachable } = more
  if (look === null) {
    return {
      at,
      lag: { bytes: null, seconds: null },
      slot: null,
      forecast: null,
      disk: null,
      walBytesPerSecond: null,
      // What was proven stays what it was.
      tables: last?.tables ?? [],
      recall,
      mode: last?.mode ?? null,
      unreachable,
    }
  }
  const { slot, relay, subscription, lag } = look.health
  return {
    at,
    lag,
    slot: slot === null ? null : sampleSlot(slot),
    forecast: look.forecast === null ? null : { seconds: look.forecast.seconds, what: endOf(look.forecast) },
    disk: look.disk,
    walBytesPerSecond: look.walBytesPerSecond,
    tables: look.proofs,
    recall,
    mode: relay !== null ? 'relay' : subscription !== null ? 'native' : null,
    unreachable,
  }
}

/** A slot as it is kept and shown: sizes as numbers. */
export function sampleSlot(slot: SlotFacts): NonNullable<MonitorSample['slot']> {
  const { name, active, walStatus, safeWalBytes, retainedBytes } = slot
  return {
    name,
    active,
    walStatus,
    safeWalBytes: safeWalBytes === null ? null : Number(safeWalBytes),
    retainedBytes: Number(retainedBytes),
  }
}
