import { availableParallelism } from 'node:os'
import type { Logger } from '../../../core/log.ts'
import type { PublishedTable } from '../../../core/published-tables.ts'
import type { Server } from '../../servers.ts'
import { dropVectorIndexes, ensureVectorIndex, type VectorIndexReport } from '../../vector-index.ts'
import type { RelayState } from '../relay-state.ts'
import type { SystemIdentity } from '../replication-session.ts'
import { runSeed, type SeedWork } from '../seed/run-seed.ts'
import type { SeedProgress } from '../seed/seed-progress.ts'
import { openSeedAccess, takeLease, type SeedWay, type TakenLease } from './seed-access.ts'

export interface FillOptions {
  primary: Server
  cloud: Server
  replicationUrl: string
  way: SeedWay
  slot: string
  /** what the cloud has written down; null when nothing */
  state: RelayState | null
  identity: SystemIdentity
  work: SeedWork | null
  tables: readonly PublishedTable[]
  /** which command this is, for who meets its lease */
  what: string
  log: Logger
  jobs?: number
  rangeRows?: number
  slotTimeoutMs?: number
  signal?: AbortSignal
  onCopy?: (progress: SeedProgress) => void
  onNote?: (text: string) => void
}

/**
 * Copies what is to be copied, without the vector index in the way, and builds it after. A relay that is
 * running is not disturbed: then nothing is copied.
 *
 * @throws HomeportError RELAY_HELD; what runSeed throws.
 */
export async function fillCloud(
  options: FillOptions,
): Promise<{ copy: SeedProgress | null; index: VectorIndexReport }> {
  const { cloud, work, onNote } = options
  const notes = onNote === undefined ? {} : { onNote }
  const copy = work === null ? null : await copyInto(options, work)
  const index = await ensureVectorIndex({ cloud: cloud.pool, ...notes })
  return { copy, index }
}

async function copyInto(options: FillOptions, planned: SeedWork): Promise<SeedProgress> {
  const { primary, cloud, state, way, log, what, rangeRows, onCopy } = options
  const jobs = options.jobs ?? Math.min(4, availableParallelism())
  const access = openSeedAccess({ way, jobs, log })
  let lease: TakenLease | undefined
  let hasBegun = false
  try {
    // Before a slot is made that nobody would read: the gateway may not run yet, its role was made just now.
    if (way.kind === 'gateway') await access.link.describe(options.slot)
    // A copy that was begun lets no relay write; only one that is complete may have one beside it.
    if (state !== null && state.state !== 'seeding') lease = await takeLease(access.link, state, what)
    // A relay may have moved the cloud on since the plan was made.
    const work =
      planned.kind === 'tables' && lease !== undefined ? { ...planned, from: lease.progress } : planned
    const copiesVectors = work.kind !== 'tables' || work.tables.includes('embeddings')
    const { copy } = await runSeed({
      ...options,
      work,
      jobs,
      primary: primary.pool,
      primaryUrl: primary.url,
      cloud: access.seed,
      ...(rangeRows === undefined ? {} : { size: { rows: rangeRows } }),
      ...(onCopy === undefined ? {} : { onProgress: onCopy }),
      onBegun: async () => {
        hasBegun = true
        await lease?.release()
        // Rows that are put beside a vector index are put into its graph one by one.
        if (copiesVectors) await dropVectorIndexes(cloud.pool, options.onNote)
      },
    })
    return copy
  } catch (error) {
    if (!hasBegun) await lease?.undo().catch(() => undefined)
    throw error
  } finally {
    await access.close()
  }
}
