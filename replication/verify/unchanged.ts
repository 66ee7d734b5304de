import type { Queryable } from '../../core/db.ts'
import { fragment, renderSql } from '../../core/sql.ts'
import type { CheckpointHead, KeptRange } from './checkpoint-lines.ts'
import { nextChunkRows, type Throttle } from './pace.ts'
import { rangeCondition, type HashSql } from './row-hash.ts'
import type { Subject } from './subjects.ts'
import type { Window } from './window.ts'

export interface UnchangedOptions {
  window: Window
  subject: Subject
  /** the moments of then */
  head: Pick<CheckpointHead, 'primary' | 'cloud'>
  ranges: readonly KeptRange[]
  throttle: Throttle
  /** after each statement: rows of the ranges that did not change */
  onRows: (rows: number) => void
}

const firstRows = 50_000
/** What a statement should take, as for those that hash. */
const targetMs = 500
/** More would make the planner slow. */
const rangesAtOnce = 64

/** The ranges whose rows nobody wrote since, on either side: {@link whyUnusable} says why that is known. */
export async function findUnchanged(options: UnchangedOptions): Promise<KeptRange[]> {
  const { window, subject, head, ranges, throttle } = options
  const unchanged: KeptRange[] = []
  let chunkRows = firstRows
  for (let at = 0; at < ranges.length;) {
    await throttle.wait()
    const some = takeRows(ranges.slice(at, at + rangesAtOnce), chunkRows)
    at += some.length
    const startedAt = performance.now()
    const atHome = areUnwritten(window.primary.client, subject.primarySql, head.primary.xmin, some)
    const inCloud = areUnwritten(window.cloud.client, subject.cloudSql, head.cloud.xmin, some)
    const [ours, theirs] = await Promise.all([atHome, inCloud])
    const rows = rowsOf(some)
    const elapsedMs = performance.now() - startedAt
    chunkRows = nextChunkRows({ rows: Math.max(rows, 1), elapsedMs, targetMs })
    const kept = some.filter((_, place) => ours[place] === true && theirs[place] === true)
    unchanged.push(...kept)
    options.onRows(rowsOf(kept))
  }
  return unchanged
}

export function rowsOf(ranges: readonly KeptRange[]): number {
  return ranges.reduce((sum, one) => sum + one.rows, 0)
}

/** One range at least. */
function takeRows(ranges: readonly KeptRange[], rows: number): KeptRange[] {
  let sum = 0
  const end = ranges.findIndex((range, place) => (sum += range.rows) > rows && place > 0)
  return ranges.slice(0, end < 0 ? ranges.length : end)
}

async function areUnwritten(
  db: Queryable,
  sql: HashSql,
  xmin: string,
  ranges: readonly KeptRange[],
): Promise<boolean[]> {
  const statements = ranges.map((range, place) =>
    renderSql('verify/unchanged-count', {
      table: sql.table,
      bucket: fragment(String(place)),
      condition: rangeCondition(sql, range),
    }),
  )
  const { rows } = await db.query<{ rows: string; written: string }>(
    `${statements.join('\nunion all\n')}\norder by 1`,
    // The type xid has the lower half of the 64 bits.
    [String(BigInt(xmin) & 0xffffffffn)],
  )
  return ranges.map(({ rows: then }, place) => {
    const now = rows[place]
    return now !== undefined && Number(now.rows) === then && Number(now.written) === 0
  })
}
