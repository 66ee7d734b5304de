import type { Candidate } from './find-differences.ts'
import { differingColumns, type Difference, type ProveOptions } from './prove.ts'
import type { Key } from './row-hash.ts'
import { readRowsByKey } from './table-hash.ts'

/**
 * Follows rows that were being written during a comparison, key by key, until each is settled: a row
 * that is the same on the primary before and after the cloud has passed it must be on the cloud as it
 * is. `open` are those that changed in every round.
 */
export async function settleKeys(
  candidates: readonly Candidate[],
  options: ProveOptions & { rounds: number },
): Promise<{ differences: Difference[]; open: readonly Key[] }> {
  const differences: Difference[] = []
  let open: readonly Key[] = candidates.map((one) => one.key)
  for (let round = 0; round < options.rounds && open.length > 0; round += 1) {
    const before = await readVersions(options.primary, options.primarySql, open)
    if (!(await options.passFence())) break
    const theirs = await readVersions(options.cloud, options.cloudSql, open)
    const after = await readVersions(options.primary, options.primarySql, open)
    const moving: Key[] = []
    for (const key of open) {
      const name = JSON.stringify(key)
      const ours = after.get(name)
      const cloud = theirs.get(name)
      // A row that is absent both times may have come and gone in between.
      const passing = ours === undefined && cloud !== undefined
      if (before.get(name)?.version !== ours?.version || passing) moving.push(key)
      else if (ours !== undefined && ours.hash !== cloud?.hash) {
        const kind = cloud === undefined ? 'missing' : 'changed'
        differences.push({ key, kind, columns: differingColumns(options.columns, ours, cloud) })
      }
    }
    open = moving
  }
  return { differences, open }
}

async function readVersions(
  db: ProveOptions['primary'],
  sql: ProveOptions['primarySql'],
  keys: readonly Key[],
): Promise<Map<string, Awaited<ReturnType<typeof readRowsByKey>>[number]>> {
  const rows = await readRowsByKey(db, sql, keys)
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}
