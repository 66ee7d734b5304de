import type { PublishedTable } from '../../core/published-tables.ts'

export const tiers = ['both', 'rows', 'vectors'] as const
/** What of a row is compared: all of it, everything but its vectors (cheap), or only its key and vectors. */
export type Tier = (typeof tiers)[number]

/** Pure: the tables of a tier, each with the columns that are compared; `vectors` leaves out tables without. */
export function tablesOfTier(tables: readonly PublishedTable[], tier: Tier): PublishedTable[] {
  return tables.flatMap((table) => {
    const vectors = table.vectors ?? []
    if (tier === 'vectors' && vectors.length === 0) return []
    const [first, ...rest] = table.columns.filter((column) => isCompared(table, column, tier))
    return first === undefined ? [] : [{ ...table, columns: [first, ...rest] }]
  })
}

function isCompared(table: PublishedTable, column: string, tier: Tier): boolean {
  if (tier === 'both' || table.key.includes(column)) return true
  return (table.vectors ?? []).includes(column) === (tier === 'vectors')
}

/** Pure: whether a comparison in this tier looks at every published column: only then is its verdict recorded. */
export function isWhole(table: PublishedTable, tier: Tier): boolean {
  return tier === 'both' || (tier === 'rows' && (table.vectors ?? []).length === 0)
}
