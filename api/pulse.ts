import type pg from 'pg'
import { readDatabaseIdentity } from '../core/database-identity.ts'
import type { Logger } from '../core/log.ts'
import { loadSql } from '../core/sql.ts'
import type { GenerationKeeper } from './search/generation.ts'

export interface TableVerdict {
  table: string
  verdict: 'match' | 'drift' | 'undetermined'
  rows: string
  at: Date
  /** when every row was last compared and was the same; null when that is not known */
  fullAt: Date | null
}

/** What the api last saw in the cloud database. Stays when the database goes. */
export interface Facts {
  /** Whether the last look succeeded; null before the first. */
  reachable: boolean | null
  /** The last time a look succeeded. */
  seenAt: Date | null
  beatAt: Date | null
  verifications: readonly TableVerdict[]
  totalSegments: number | null
  lastUpdated: Date | null
}

export interface Pulse {
  facts(): Facts
  /** Looks now; never throws. Calls at the same time share one look. */
  beat(): Promise<void>
  start(): void
  stop(): Promise<void>
}

export interface PulseOptions {
  /** Sessions with a short limit. */
  pool: pg.Pool
  generations: GenerationKeeper
  log: Logger
  onFailure: (error: unknown) => void
  /** Default 2 s. */
  everyMs?: number
  /** How often segments are counted, and the database is asked which one it is (default 30 s). */
  totalsEveryMs?: number
}

/** Keeps what `/health` and the freshness line say up to date, and has the search generation follow. */
export function createPulse(options: PulseOptions): Pulse {
  const { pool, generations, log, onFailure, everyMs = 2_000, totalsEveryMs = 30_000 } = options
  let facts: Facts = {
    reachable: null,
    seenAt: null,
    beatAt: null,
    verifications: [],
    totalSegments: null,
    lastUpdated: null,
  }
  let countedAt = -Infinity
  let counted: unknown
  let identity: string | null = null
  let identifiedAt = -Infinity
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let stopped = false

  async function look(): Promise<void> {
    try {
      await identify()
      const { rows } = await pool.query<PulseRow>(loadSql('queries/pulse'), [identity])
      const row = rows[0]
      facts = {
        ...facts,
        reachable: true,
        seenAt: new Date(),
        beatAt: row?.beat_at ?? null,
        verifications: (row?.verifications ?? []).map((each) => ({
          ...each,
          at: new Date(each.at),
          fullAt: each.fullAt === null ? null : new Date(each.fullAt),
        })),
      }
      await generations.refresh()
      await countTotals()
    } catch (error) {
      if (facts.reachable !== false) log.warn({ err: error }, 'the database does not answer')
      facts = { ...facts, reachable: false }
      onFailure(error)
    }
  }

  /** Now and then: another database may have come in its place, and a server that refuses to say it logs that. */
  async function identify(): Promise<void> {
    if (performance.now() - identifiedAt <= totalsEveryMs) return
    identity = await readDatabaseIdentity(pool)
    identifiedAt = performance.now()
  }

  async function countTotals(): Promise<void> {
    const due = performance.now() - countedAt > totalsEveryMs || counted !== generations.current()
    if (!due) return
    const { rows } = await pool.query<TotalsRow>(loadSql('queries/totals'))
    facts = {
      ...facts,
      totalSegments: rows[0]?.total_segments ?? null,
      lastUpdated: rows[0]?.last_updated ?? null,
    }
    countedAt = performance.now()
    counted = generations.current()
  }

  const beat = () => (running ??= look().finally(() => (running = undefined)))

  function schedule(): void {
    if (stopped) return
    timer = setTimeout(() => void beat().then(schedule), everyMs)
  }

  return {
    facts: () => facts,
    beat,
    start: () => void beat().then(schedule),
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

interface PulseRow {
  beat_at: Date | null
  verifications: {
    table: string
    verdict: TableVerdict['verdict']
    rows: string
    at: string
    fullAt: string | null
  }[]
}

export interface OverallVerdict {
  verdict: TableVerdict['verdict']
  at: Date
  /** when the last of all tables was compared row by row and was the same; null when one never was */
  fullAt: Date | null
}

interface TotalsRow {
  total_segments: number
  last_updated: Date | null
}

/** The verdict over all tables: the worst one, as old as the oldest. Null before the first verification. */
export function overallVerdict(
  verifications: readonly Pick<TableVerdict, 'verdict' | 'at' | 'fullAt'>[],
): OverallVerdict | null {
  const first = verifications[0]
  if (first === undefined) return null
  const older = (a: Date, b: Date): Date => (b < a ? b : a)
  const verdicts = new Set(verifications.map((each) => each.verdict))
  const verdict = verdicts.has('drift') ? 'drift' : verdicts.has('undetermined') ? 'undetermined' : 'match'
  const fullAts = verifications.flatMap(({ fullAt }) => fullAt ?? [])
  return {
    verdict,
    at: verifications.map(({ at }) => at).reduce(older, first.at),
    fullAt: fullAts.length < verifications.length ? null : fullAts.reduce(older),
  }
}

/** Seconds from a moment to now, never negative: clocks of two machines differ. */
export function secondsSince(moment: Date | null, now: Date): number | null {
  if (moment === null) return null
  return Math.max(0, Math.round((now.getTime() - moment.getTime()) / 100) / 10)
}
