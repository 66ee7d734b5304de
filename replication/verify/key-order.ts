import type { ColumnFacts } from '../table-facts.ts'
import type { Key, KeyRange } from './row-hash.ts'

/** Negative when `a` comes first. */
export type KeyOrder = (a: Key, b: Key) => number

/** Pure: the order in which both servers have the keys, see `comparable`; null where it is not known here. */
export function keyOrderOf(columns: readonly ColumnFacts[]): KeyOrder | null {
  const orders = columns.map(valueOrderOf)
  if (orders.includes(null)) return null
  return (a, b) => {
    for (const [place, order] of orders.entries()) {
      const difference = order?.(a[place] ?? '', b[place] ?? '') ?? 0
      if (difference !== 0) return difference
    }
    return 0
  }
}

function valueOrderOf({ type }: ColumnFacts): ((a: string, b: string) => number) | null {
  if (/^(smallint|integer|bigint)$/.test(type)) return (a, b) => Number(BigInt(a) - BigInt(b))
  if (/^(text|character varying.*)$/.test(type))
    return (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))
  return null
}

/** Pure: ranges by their beginning, without those that reach into one before them. */
export function inOrder<Range extends KeyRange>(ranges: readonly Range[], order: KeyOrder): Range[] {
  const sorted = [...ranges].sort((a, b) =>
    a.from === null ? -1 : b.from === null ? 1 : order(a.from, b.from),
  )
  const kept: Range[] = []
  for (const range of sorted) {
    const before = kept.at(-1)
    if (before === undefined || isBehind(range, before, order)) kept.push(range)
  }
  return kept
}

function isBehind({ from }: KeyRange, before: KeyRange, order: KeyOrder): boolean {
  return from !== null && before.to !== null && order(from, before.to) >= 0
}

/**
 * Pure: what lies before, between and after ranges. Each of these, and each of the given ones, begins with the very key
 * that the one before ends with, the first and the last are open: whatever order the ranges are in, no key is left out.
 */
export function rangesBesides(ranges: readonly KeyRange[], whole: KeyRange): KeyRange[] {
  const besides: KeyRange[] = []
  let at: Key | null = whole.from
  for (const { from, to } of ranges) {
    if (JSON.stringify(at) !== JSON.stringify(from)) besides.push({ from: at, to: from })
    if (to === null) return besides
    at = to
  }
  besides.push({ from: at, to: whole.to })
  return besides
}
