import type { Difference } from './prove.ts'
import type { Key } from './row-hash.ts'

/** What is known about one table so far. */
export interface TableFindings {
  primaryRows: number
  cloudRows: number
  /** proven ones, at most as many as are shown */
  shown: readonly Difference[]
  /** how many are proven in all */
  proven: number
  /** keys that differed and were being written, to be looked at again; 'all' is the whole table; empty when all is said */
  open: readonly Key[] | 'all'
  /** why nothing can be proven, in words */
  reason: string | null
  /** the primary's position of the comparison */
  lsn: string
}

export const nothingFound: TableFindings = {
  primaryRows: 0,
  cloudRows: 0,
  shown: [],
  proven: 0,
  open: [],
  reason: null,
  lsn: '0/0',
}

export interface ExactVerification {
  table: string
  /** `match`: every row is the same; `drift`: at least one is proven not to be; `undetermined`: neither, and why */
  verdict: 'match' | 'drift' | 'undetermined'
  /** published rows */
  primaryRows: number
  cloudRows: number
  /** proven ones, at most `maxDifferences` */
  differences: readonly Difference[]
  /** proven beyond those */
  moreDifferences: number
  /** what is not known, in words; null when all is */
  reason: string | null
  /** the primary's log position of the comparison */
  lsn: string
}

/** Pure: whether something has to be looked at again. */
export function isOpen({ open }: TableFindings): boolean {
  return open === 'all' || open.length > 0
}

/** Pure: what the findings amount to. Never `match` while a key is open or nothing could be proven. */
export function judgeFindings(table: string, findings: TableFindings): ExactVerification {
  const { primaryRows, cloudRows, shown, proven, open, lsn } = findings
  const reason = findings.reason ?? describeOpen(open)
  return {
    table,
    verdict: proven > 0 ? 'drift' : reason === null ? 'match' : 'undetermined',
    primaryRows,
    cloudRows,
    differences: shown,
    moreDifferences: proven - shown.length,
    reason,
    lsn,
  }
}

function describeOpen(open: TableFindings['open']): string | null {
  if (open === 'all') return 'it was written as a whole during every comparison'
  if (open.length === 0) return null
  const rows = open.length === 1 ? 'a row' : `${open.length} rows`
  const first = open[0]?.join(', ') ?? ''
  return `${rows} that differed (first: ${first}) changed during every comparison`
}

/** Pure: what two looks at different rows of a table, within one window, found together; rows are those of the first. */
export function joinFindings(
  one: TableFindings,
  other: TableFindings,
  maxDifferences: number,
): TableFindings {
  return {
    ...one,
    shown: [...one.shown, ...other.shown].slice(0, maxDifferences),
    proven: one.proven + other.proven,
    open: one.open === 'all' || other.open === 'all' ? 'all' : [...one.open, ...other.open],
    reason: one.reason ?? other.reason,
  }
}
