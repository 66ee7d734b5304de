import { failpoint } from '../../core/failpoint.ts'
import { HomeportError } from '../../core/errors.ts'
import type { Server } from '../servers.ts'
import { passFence } from '../verify/fence.ts'
import type { ExactVerification } from '../verify/findings.ts'
import { hashTable, sameBucket } from '../verify/table-hash.ts'
import { drillDown, type Candidate } from '../verify/find-differences.ts'
import { openSnapshot } from '../verify/snapshot.ts'
import { readSubjects } from '../verify/subjects.ts'
import type { VerifyProgress } from '../verify/progress.ts'
import { verifyExact } from '../verify/verify-exact.ts'
import { contentTables } from './fence.ts'
import { lossOf, type Loss } from './loss.ts'

export interface DrainOptions {
  primary: Server
  cloud: Server
  /** the primary as a role that may replicate */
  replicationUrl: string
  /** how long the cloud may take to catch up */
  timeoutMs: number
  signal?: AbortSignal
  onNote?: (text: string) => void
  onProgress?: (progress: VerifyProgress) => void
}

/**
 * Waits until the cloud has everything of a home that takes no writes any more, and proves it row by row. Where the
 * cloud does not get there, counts the rows that are not the same.
 *
 * @throws HomeportError UNPROVEN; what verifyExact throws; the signal's reason.
 */
export async function drain(options: DrainOptions): Promise<Loss> {
  const primary = options.primary.pool
  const cloud = options.cloud.pool
  const signal = options.signal === undefined ? {} : { signal: options.signal }
  const { timeoutMs } = options
  options.onNote?.('waiting until the cloud has everything')
  const fence = await passFence({ primary, cloud, passed: { beat: true }, timeoutMs, ...signal })
  await failpoint('promote.after-drain')
  if (!fence.passed) {
    options.onNote?.('counting what the cloud lacks')
    const counted = await countDifferences(options)
    return lossOf(counted, fence.reason ?? 'it did not catch up')
  }
  const results = await verifyExact({
    primary,
    cloud,
    replicationUrl: options.replicationUrl,
    fenceTimeoutMs: timeoutMs,
    ...signal,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  })
  await failpoint('promote.after-proof')
  const loss = lossOf(results, null)
  const open = results.filter((one) => one.verdict === 'undetermined')
  // Beside rows that were counted too: the others of these tables were not.
  if (open.length > 0) throw unproven(open)
  // So that the verdicts travel too; the rows are proven without.
  await passFence({ primary, cloud, passed: { beat: true }, timeoutMs, ...signal })
  return loss
}

function unproven(open: readonly { table: string; reason: string | null }[]): HomeportError {
  const list = open.map((one) => `${one.table} (${one.reason ?? 'unknown'})`).join('; ')
  return new HomeportError('UNPROVEN', `it could not be proven that nothing is lost: ${list}`, {
    hint: 'run this again; ops verify shows the same table by table',
  })
}

/**
 * What a home that woke up after the promotion has and the new primary has not: written there since, never brought, or
 * deleted here since.
 */
export async function countMissing(
  options: Pick<DrainOptions, 'primary' | 'cloud' | 'signal'>,
): Promise<Loss> {
  const counted = await countDifferences(options, (row) => row.cloud === null)
  return lossOf(counted, 'home has them, and may have written them after the promotion')
}

/** Every key whose row differs now. Home stands still; what the cloud still takes meanwhile only lowers the count. */
async function countDifferences(
  options: Pick<DrainOptions, 'primary' | 'cloud' | 'signal'>,
  counts: (row: Candidate) => boolean = () => true,
): Promise<Pick<ExactVerification, 'table' | 'differences' | 'moreDifferences'>[]> {
  const { subjects, broken } = await readSubjects(
    { primary: options.primary.pool, cloud: options.cloud.pool },
    contentTables,
  )
  if (broken.length > 0) throw unproven(broken.map(({ table, reason }) => ({ table: table.name, reason })))
  const primary = await openSnapshot(options.primary.pool)
  try {
    const cloud = await openSnapshot(options.cloud.pool)
    try {
      const counted = []
      for (const { table, primarySql, cloudSql } of subjects) {
        const [ours, theirs] = await Promise.all([
          hashTable(primary.client, primarySql),
          hashTable(cloud.client, cloudSql),
        ])
        let moreDifferences = 0
        if (!sameBucket(ours, theirs)) {
          const found = drillDown({
            primary: primary.client,
            cloud: cloud.client,
            primarySql,
            cloudSql,
            primaryRows: ours.rows,
            cloudRows: theirs.rows,
            ...(options.signal === undefined ? {} : { signal: options.signal }),
          })
          for await (const rows of found) moreDifferences += rows.filter(counts).length
        }
        counted.push({ table: table.name, differences: [], moreDifferences })
      }
      return counted
    } finally {
      await cloud.close()
    }
  } finally {
    await primary.close()
  }
}
