import { HomeportError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import { publishedTables, type PublishedTable } from '../../../core/published-tables.ts'
import { identifier, renderSql } from '../../../core/sql.ts'
import { refuseWrongServers } from '../../server-verdicts.ts'
import { withServers, type Server } from '../../servers.ts'
import { readSlots, type SlotFacts } from '../../slot.ts'
import { readSubscription } from '../../subscription.ts'
import type { VectorIndexReport } from '../../vector-index.ts'
import { promoted } from '../apply/errors.ts'
import { readRelayState, type RelayState } from '../relay-state.ts'
import type { SystemIdentity } from '../replication-session.ts'
import type { SeedWork } from '../seed/run-seed.ts'
import type { SeedProgress } from '../seed/seed-progress.ts'
import { fillCloud } from './fill-cloud.ts'
import { withPrimaryLock } from './primary-lock.ts'
import { proveReplicationUrl } from './prove.ts'
import type { SeedWay } from './seed-access.ts'

export interface ReseedOptions {
  /** LOCAL_DATABASE_URL */
  primaryUrl: string
  /** PRODUCTION_DATABASE_URL */
  cloudUrl: string
  /** REPLICATION_DATABASE_URL */
  replicationUrl: string
  way: SeedWay
  log: Logger
  /** names; all when absent or empty */
  tables?: readonly string[]
  jobs?: number
  rangeRows?: number
  slotTimeoutMs?: number
  signal?: AbortSignal
  onCopy?: (progress: SeedProgress) => void
  onNote?: (text: string) => void
}

export interface ReseedReport {
  slot: string
  tables: readonly string[]
  copy: SeedProgress
  index: VectorIndexReport
}

/**
 * Empties tables of the cloud and copies them again. All of them: from a new slot, which also puts right a
 * slot that was lost, a cloud that was restored to an older state and a primary that was restored or
 * replaced. Some: from a snapshot of now; the stream goes on where the cloud is.
 *
 * @throws HomeportError USAGE, NOT_SET_UP, PROMOTED, exit 2; RELAY_HELD while a relay runs; SLOT_LOST, PRIMARY_CHANGED
 * and SEED_UNFINISHED when only a copy of everything helps; else what runSeed throws.
 */
export async function reseed(options: ReseedOptions): Promise<ReseedReport> {
  const wanted = chooseTables(options.tables ?? [])
  return withServers(options, async ({ primary, cloud }) => {
    refuseWrongServers(primary.facts, cloud.facts)
    return withPrimaryLock(options.primaryUrl, async () => {
      const state = await readSetUpState(cloud)
      const identity = await proveReplicationUrl(options.replicationUrl, primary)
      const slot = (await readSlots(primary.pool)).find((one) => one.name === state.slot) ?? null
      const work = decideReseed({ wanted, state, slot, identity })
      const { copy, index } = await fillCloud({
        ...options,
        primary,
        cloud,
        slot: state.slot,
        state,
        identity,
        work,
        tables: publishedTables,
        what: 'ops reseed',
      })
      for (const { name } of wanted) {
        await cloud.pool.query(renderSql('replication/analyze', { table: identifier(name) }))
      }
      if (copy === null) throw new Error('a reseed copied nothing')
      return { slot: state.slot, tables: wanted.map((table) => table.name), copy, index }
    })
  })
}

/** @throws HomeportError USAGE, exit 2, that names what there is. */
export function chooseTables(names: readonly string[]): readonly PublishedTable[] {
  const unknown = names.filter((name) => !publishedTables.some((table) => table.name === name))
  if (unknown.length > 0) {
    throw new HomeportError('USAGE', `there is no published table ${unknown.join(', ')}`, {
      hint: `one or more of ${publishedTables.map((table) => table.name).join(', ')}; none means all`,
      exitCode: 2,
    })
  }
  return names.length === 0 ? publishedTables : publishedTables.filter((table) => names.includes(table.name))
}

async function readSetUpState(cloud: Server): Promise<RelayState> {
  const state = await readRelayState(cloud.pool)
  if (state?.state === 'promoted') throw promoted(state.slot, 2)
  if (state !== null) return state
  const native = (await readSubscription(cloud.pool)) !== null
  throw new HomeportError(
    'NOT_SET_UP',
    native
      ? 'this cloud follows by a native subscription, which copies by itself'
      : 'the cloud has no record of a relay',
    {
      hint: native
        ? `ops teardown-replication; on the cloud: truncate ${publishedTables.map((table) => table.name).join(', ')} cascade; then ops setup-replication`
        : 'ops setup-replication --mode relay',
      exitCode: 2,
    },
  )
}

/** Pure: how these tables can be copied again. @throws HomeportError when only a copy of everything helps. */
export function decideReseed(situation: {
  wanted: readonly PublishedTable[]
  state: Pick<RelayState, 'slot' | 'state' | 'systemIdentifier' | 'timeline' | 'commitLsn' | 'endLsn'>
  slot: Pick<SlotFacts, 'walStatus'> | null
  identity: Pick<SystemIdentity, 'systemIdentifier' | 'timeline'>
}): SeedWork {
  const { wanted, state, slot, identity } = situation
  const tables = wanted.map((table) => table.name)
  if (wanted.length === publishedTables.length) {
    return { kind: 'start', dropSlot: slot !== null, empty: tables }
  }
  const everything = 'ops reseed, without names, copies everything again'
  if (state.state === 'seeding') {
    throw new HomeportError('SEED_UNFINISHED', 'the initial copy is not complete', {
      hint: `ops setup-replication --mode relay goes on with it; ${everything}`,
    })
  }
  const { systemIdentifier, timeline } = identity
  if (systemIdentifier !== state.systemIdentifier || timeline !== state.timeline) {
    throw new HomeportError(
      'PRIMARY_CHANGED',
      'the primary is not the one that the cloud follows: it was restored, promoted or replaced',
      { hint: everything },
    )
  }
  if (slot === null || slot.walStatus === 'lost') {
    throw new HomeportError(
      slot === null ? 'SLOT_MISSING' : 'SLOT_LOST',
      `the slot ${state.slot} is ${slot === null ? 'gone' : 'lost'}: changes of every table are missing on the cloud`,
      { hint: everything },
    )
  }
  return { kind: 'tables', tables, from: state }
}
