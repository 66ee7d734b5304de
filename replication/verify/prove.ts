import type { Queryable } from '../../core/db.ts'
import type { Candidate } from './find-differences.ts'
import type { HashSql, Key } from './row-hash.ts'
import { readRowsByKey } from './table-hash.ts'

export interface Difference {
  key: Key
  /** missing or extra on the cloud */
  kind: 'missing' | 'extra' | 'changed'
  /** the columns that differ, for a changed row */
  columns: readonly string[]
}

export interface ProveOptions {
  /** sessions without a snapshot: what is true now */
  primary: Queryable
  cloud: Queryable
  primarySql: HashSql
  cloudSql: HashSql
  columns: readonly string[]
  /** waits until the cloud has everything the primary has now; false when it does not get there */
  passFence: () => Promise<boolean>
}

type Row = Awaited<ReturnType<typeof readRowsByKey>>[number]

/**
 * Which of the keys that differed between two snapshots are proven wrong on the cloud. The cloud's
 * snapshot must have been opened after the cloud had passed the primary's.
 *
 * A row that the primary still has in the version it had in its snapshot did not change in between,
 * so the cloud's snapshot, which lies in between, should have had it: what it had instead is wrong. A
 * row that only the cloud has is wrong when the primary still lacks it, and the cloud, once it has
 * passed that moment, still has it in the same version. Everything else is on its way.
 */
export async function proveDifferences(
  candidates: readonly Candidate[],
  options: ProveOptions,
): Promise<Difference[]> {
  const now = byKey(await readRowsByKey(options.primary, options.primarySql, keysOf(candidates)))
  const settled = candidates.filter(
    (one) => one.primary !== null && now.get(name(one.key))?.version === one.primary.version,
  )
  const onlyCloud = candidates.filter((one) => one.primary === null && !now.has(name(one.key)))
  const differences: Difference[] = []
  const theirs = byKey(await readRowsByKey(options.cloud, options.cloudSql, keysOf(settled)))
  for (const one of settled) {
    const kind = one.cloud === null ? 'missing' : 'changed'
    const columns =
      kind === 'missing'
        ? []
        : differingColumns(options.columns, now.get(name(one.key)), theirs.get(name(one.key)))
    differences.push({ key: one.key, kind, columns })
  }
  if (onlyCloud.length > 0 && (await options.passFence())) {
    const still = byKey(await readRowsByKey(options.cloud, options.cloudSql, keysOf(onlyCloud)))
    for (const one of onlyCloud) {
      if (still.get(name(one.key))?.version !== one.cloud?.version) continue
      differences.push({ key: one.key, kind: 'extra', columns: [] })
    }
  }
  return differences
}

/** The columns whose hashes differ between two versions of a row. */
export function differingColumns(
  columns: readonly string[],
  ours: Row | undefined,
  theirs: Row | undefined,
): readonly string[] {
  if (ours === undefined || theirs === undefined) return []
  return columns.filter((_, place) => ours.columnHashes[place] !== theirs.columnHashes[place])
}

function keysOf(candidates: readonly Candidate[]): Key[] {
  return candidates.map((one) => one.key)
}

function byKey(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [name(row.key), row]))
}

function name(key: Key): string {
  return JSON.stringify(key)
}
