import type pg from 'pg'
import { loadSql } from '../../core/sql.ts'
import { readHealth } from '../health.ts'
import { Throttle, type Pace } from './pace.ts'
import type { Subject } from './subjects.ts'

export interface VerifyProgress {
  table: string
  rows: number
  /** by what the planner believes; 0 when it knows nothing */
  rowsExpected: number
  rowsPerSecond: number
  /** null when nobody can say */
  secondsLeft: number | null
}

export interface MeterOptions {
  primary: pg.Pool
  cloud: pg.Pool
  /** default default */
  pace?: Pace
  signal?: AbortSignal
  onProgress?: (progress: VerifyProgress) => void
  onPause?: (lagBytes: number) => void
  /** rows of the first chunk, where an earlier comparison has found out */
  firstRows?: number
}

export interface Meter {
  throttle: Throttle
  /** after each chunk of a table */
  onRows: (table: string, rows: number) => void
}

/** Paces a comparison and counts its rows. `share` is how much of the tables will be looked at, from 0 to 1. */
export async function startMeter(
  options: MeterOptions,
  subjects: readonly Subject[],
  share = 1,
): Promise<Meter> {
  const { primary, cloud, signal, onPause } = options
  const throttle = new Throttle({
    pace: options.pace ?? 'default',
    readLagBytes: async () => (await readHealth(primary, cloud)).lag.bytes,
    ...(signal === undefined ? {} : { signal }),
    ...(onPause === undefined ? {} : { onPause }),
    ...(options.firstRows === undefined ? {} : { firstRows: options.firstRows }),
  })
  const names = subjects.map(({ table }) => table.name)
  const { rows } = await primary.query<{ table: string; rows: number }>(loadSql('verify/expected-rows'), [
    names,
  ])
  const rowsExpected = Math.round(share * rows.reduce((sum, one) => sum + one.rows, 0))
  const startedAt = performance.now()
  let compared = 0
  return {
    throttle,
    onRows: (table, count) => {
      compared += count
      const seconds = (performance.now() - startedAt) / 1000
      options.onProgress?.({ table, ...measure({ rows: compared, rowsExpected, seconds }) })
    },
  }
}

/** Pure: rate and time left. */
export function measure(run: {
  rows: number
  rowsExpected: number
  seconds: number
}): Omit<VerifyProgress, 'table'> {
  const { rows, rowsExpected, seconds } = run
  const rowsPerSecond = seconds > 0 ? rows / seconds : 0
  const left = rowsExpected - rows
  const isKnown = rowsPerSecond > 0 && left > 0
  return {
    rows,
    rowsExpected,
    rowsPerSecond: Math.round(rowsPerSecond),
    secondsLeft: isKnown ? left / rowsPerSecond : null,
  }
}
