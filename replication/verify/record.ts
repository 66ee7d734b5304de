import { readDatabaseIdentity } from '../../core/database-identity.ts'
import type { Queryable } from '../../core/db.ts'
import { publishedTables } from '../../core/published-tables.ts'
import { loadSql } from '../../core/sql.ts'

export interface Verdict {
  table: string
  verdict: 'match' | 'drift' | 'undetermined'
  primaryRows: number
  lsn: string
  /** whether every row was compared, not only what changed and a share of the rest; default true */
  isFull?: boolean
}

/** Writes verdicts about a cloud to the primary; they travel, so that the cloud can say how verified it is. */
export async function recordVerdicts(
  { primary, cloud }: { primary: Queryable; cloud: Queryable },
  results: readonly Verdict[],
): Promise<void> {
  if (results.length === 0) return
  const lsn = results.find((result) => result.lsn !== '0/0')?.lsn ?? '0/0'
  await primary.query(loadSql('replication/record-verifications'), [
    results.map((result) => result.table),
    results.map((result) => result.verdict),
    results.map((result) => result.primaryRows),
    results.map((result) => result.isFull ?? true),
    lsn,
    publishedTables.map((table) => table.name),
    await readDatabaseIdentity(cloud),
  ])
}
