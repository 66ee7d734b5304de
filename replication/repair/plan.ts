import type { PublishedTable } from '../../core/published-tables.ts'
import type { ExactVerification } from '../verify/findings.ts'
import type { Difference } from '../verify/prove.ts'

export interface RepairLimits {
  /** whether rows may be removed from the cloud that the primary does not have */
  mayDelete: boolean
  /** at most so many in one call */
  maxDeletes: number
  /** past this share of a table's rows (0 to 1) it is copied anew instead; small tables and up to 100 rows never are */
  maxShare: number
}

/** Rows of one table with one thing to do, in the order in which they are to be done. */
export interface RepairStep {
  table: string
  action: 'put' | 'remove'
  differences: readonly Difference[]
}

/** Why something proven wrong is left as it is. */
export interface Refusal {
  table: string
  code: 'TOO_MANY_ROWS' | 'DELETES_NOT_ALLOWED' | 'TOO_MANY_DELETES' | 'UNDETERMINED'
  rows: number
  message: string
  fix: string
}

export interface RepairPlan {
  steps: readonly RepairStep[]
  refusals: readonly Refusal[]
}

/** Fewer rows than this are repaired one by one whatever share they are. */
const alwaysFewRows = 100

/**
 * Pure: what to do about what a comparison has proven. Rows to remove go first, children before their parents, since
 * one of them may be in the way of another; then rows to put, parents first.
 */
export function planRepair(
  results: readonly ExactVerification[],
  tables: readonly PublishedTable[],
  limits: RepairLimits,
): RepairPlan {
  const refusals: Refusal[] = []
  const puts: RepairStep[] = []
  const removals: RepairStep[] = []
  const all = results.flatMap((result) => result.differences)
  const extras = all.filter(({ kind }) => kind === 'extra').length
  for (const { name } of tables) {
    const result = results.find((one) => one.table === name)
    if (result === undefined) continue
    if (result.reason !== null) refusals.push(undetermined(result, result.reason))
    const rows = result.differences.length + result.moreDifferences
    if (rows === 0) continue
    if (isTooMuch(result, rows, limits.maxShare)) {
      refusals.push(tooManyRows(result, rows))
      continue
    }
    const extra = result.differences.filter(({ kind }) => kind === 'extra')
    const other = result.differences.filter(({ kind }) => kind !== 'extra')
    if (other.length > 0) puts.push({ table: name, action: 'put', differences: other })
    if (extra.length === 0) continue
    const refusal = judgeDeletes(name, extra.length, extras, limits)
    if (refusal === null) removals.push({ table: name, action: 'remove', differences: extra })
    else refusals.push(refusal)
  }
  return { steps: [...removals.reverse(), ...puts], refusals }
}

function isTooMuch(result: ExactVerification, rows: number, maxShare: number): boolean {
  if (result.moreDifferences > 0) return true
  return rows > alwaysFewRows && rows > maxShare * Math.max(result.primaryRows, result.cloudRows)
}

function tooManyRows({ table, primaryRows }: ExactVerification, rows: number): Refusal {
  return {
    table,
    code: 'TOO_MANY_ROWS',
    rows,
    message: `${rows} rows of ${table} differ, of ${primaryRows}: too many to repair one by one`,
    fix: `ops reseed ${table} copies it anew (with the relay stopped); or allow more: ops repair ${table} --max-share-percent 100 --max-rows ${rows}`,
  }
}

function judgeDeletes(table: string, rows: number, inAll: number, limits: RepairLimits): Refusal | null {
  const what = `${table} has ${rows} ${rows === 1 ? 'row' : 'rows'} on the cloud that the primary does not have`
  if (!limits.mayDelete) {
    const fix = `ops repair ${table} --apply --delete removes them`
    return { table, code: 'DELETES_NOT_ALLOWED', rows, message: what, fix }
  }
  if (inAll <= limits.maxDeletes) return null
  return {
    table,
    code: 'TOO_MANY_DELETES',
    rows,
    message: `${what}; ${inAll} rows would be removed in all, the limit is ${limits.maxDeletes}`,
    fix: `look at them first; then ops repair ${table} --apply --delete --max-deletes ${inAll}`,
  }
}

function undetermined({ table }: ExactVerification, reason: string): Refusal {
  const fix = `ops repair ${table}, when less is written`
  return { table, code: 'UNDETERMINED', rows: 0, message: `${table}: ${reason}`, fix }
}

/** Pure: pieces of a step that are held still at one time. */
export function* inBatches(step: RepairStep, rows: number): Generator<RepairStep, void, undefined> {
  for (let at = 0; at < step.differences.length; at += rows) {
    yield { ...step, differences: step.differences.slice(at, at + rows) }
  }
}
