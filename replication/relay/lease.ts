import type pg from 'pg'
import { sleep } from '../../core/backoff.ts'
import type { Queryable } from '../../core/db.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { publishedTables } from '../../core/published-tables.ts'
import { loadSql } from '../../core/sql.ts'
import { readSlotName } from '../slot.ts'
import { fenced, notSetUp, promoted } from './apply/errors.ts'
import { judgePrimary } from './apply/progress.ts'
import type { CloudTableFacts } from './apply/schema.ts'
import { applyName, applySides } from './apply/transaction.ts'
import type {
  CloudDescription,
  CloudTable,
  Lease,
  LeaseRequest,
  Progress,
  RelayReport,
} from './cloud-link.ts'

/** How far the cloud is; null when no relay was set up for this slot. */
export async function readProgress(cloud: Queryable, slot: string): Promise<Progress | null> {
  const { rows } = await cloud.query<Progress>(loadSql('relay/read-progress'), [slot])
  return rows[0] ?? null
}

/** A batch on its way is given this long to end before its session is taken for one that nobody is behind. */
const patienceMs = 3_000
const retryMs = 100

/**
 * Takes the lease: for the same holder at once, for another one when nobody holds it any more. A new epoch begins,
 * and what the relay before this one still sends is refused. Waits for a batch that is being applied; one that does
 * not end is a connection that the network forgot and the server did not, and would lock us out for hours: ended.
 *
 * @throws HomeportError RELAY_HELD, PROMOTED, PRIMARY_CHANGED, NOT_SET_UP; 55P03 of the server after half a minute.
 */
export async function acquireLease(
  cloud: Queryable,
  request: LeaseRequest,
): Promise<{ lease: Lease; progress: Progress }> {
  const { slot, holder, holderName, leaseSeconds, systemIdentifier, timeline } = request
  const values = [slot, holder, holderName, leaseSeconds, systemIdentifier, timeline]
  const begunMs = performance.now()
  for (;;) {
    try {
      const { rows } = await cloud.query<Progress>(loadSql('relay/acquire-lease'), values)
      const progress = rows[0]
      if (progress === undefined) throw await explainRefusal(cloud, request)
      return { lease: { slot, epoch: progress.epoch, holder }, progress }
    } catch (error) {
      const waitedMs = performance.now() - begunMs
      if (errorCode(error) !== lockNotAvailable || waitedMs > 10 * patienceMs) throw error
      const found = await readHolder(cloud, request)
      if (found?.isFree === false) throw await explainRefusal(cloud, request)
      if (waitedMs > patienceMs) await endLeftovers(cloud, slot)
      await sleep(retryMs)
    }
  }
}

const lockNotAvailable = '55P03'

async function endLeftovers(cloud: Queryable, slot: string): Promise<void> {
  for (const side of applySides) await cloud.query(loadSql('relay/end-leftovers'), [applyName(side, slot)])
}

interface LeaseHolder {
  state: Progress['state']
  systemIdentifier: string
  timeline: number
  holder: string | null
  holderName: string | null
  epoch: string
  since: string | null
  /** who asks may have it */
  isFree: boolean
}

async function readHolder(
  cloud: Queryable,
  { slot, holder }: Pick<LeaseRequest, 'slot' | 'holder'>,
): Promise<LeaseHolder | undefined> {
  const { rows } = await cloud.query<LeaseHolder>(loadSql('relay/lease-holder'), [slot, holder])
  return rows[0]
}

async function explainRefusal(cloud: Queryable, request: LeaseRequest): Promise<HomeportError> {
  const found = await readHolder(cloud, request)
  if (found === undefined) return notSetUp(request.slot)
  if (found.state === 'promoted') return promoted(request.slot)
  judgePrimary(found, request)
  const who = found.holderName ?? 'unknown'
  const since = found.since === null ? '' : ` since ${found.since}`
  return new HomeportError('RELAY_HELD', `another relay (${who}) reads slot ${request.slot}${since}`, {
    hint: 'stop it first; one that was killed is forgotten after a minute',
    exitCode: 1,
  })
}

/**
 * Holds the lease for another while, or leaves that to the batch that is being applied. @throws HomeportError
 * RELAY_FENCED when somebody else has it.
 */
export async function renewLease(cloud: Queryable, lease: Lease): Promise<void> {
  const { slot, epoch, holder } = lease
  const { rowCount } = await cloud.query(loadSql('relay/renew-lease'), [slot, epoch, holder])
  if (rowCount === 1) return
  const found = await readHolder(cloud, lease)
  if (found?.epoch === epoch && found.holder === holder) return
  throw explainFence(lease, found)
}

/**
 * Writes down what the relay does, for ops status and the gateway's health. A copy that is not complete stays
 * one, and a relay that says it stopped lets go of its lease. @throws HomeportError RELAY_FENCED.
 */
export async function reportState(cloud: Queryable, lease: Lease, report: RelayReport): Promise<void> {
  const { slot, epoch, holder } = lease
  const { state, stopCode, stopMessage, stopHint } = report
  const values = [slot, epoch, holder, state, stopCode, stopMessage, stopHint]
  const { rowCount } = await cloud.query(loadSql('relay/report-state'), values)
  if (rowCount !== 1) throw explainFence(lease, await readHolder(cloud, lease))
}

function explainFence({ slot }: Lease, found: LeaseHolder | undefined): HomeportError {
  if (found?.state === 'promoted') return promoted(slot)
  return found === undefined ? notSetUp(slot) : fenced(slot, found.holderName)
}

/** Who and how the cloud is, as the role of this pool finds it. The pool needs room for two sessions. */
export async function describeCloud(cloud: pg.Pool, slot: string): Promise<CloudDescription> {
  const { rows } = await cloud.query<
    Pick<
      CloudDescription,
      'systemIdentifier' | 'serverVersion' | 'database' | 'synchronousCommit' | 'isReadOnly'
    > & { hasRelay: boolean }
  >(loadSql('relay/describe-cloud'))
  const [facts] = rows
  if (facts === undefined) throw new HomeportError('CLOUD_SILENT', 'the cloud did not describe itself')
  const { hasRelay, ...description } = facts
  return {
    ...description,
    slot: await readSlotName(cloud),
    tables: await readTables(cloud),
    hasSession: await hasSession(cloud),
    progress: hasRelay ? await readProgress(cloud, slot) : null,
  }
}

async function readTables(cloud: pg.Pool): Promise<CloudTable[]> {
  const names = publishedTables.map((table) => table.name)
  const { rows } = await cloud.query<{ tables: string }>(loadSql('relay/cloud-tables'), [names])
  const tables = JSON.parse(rows[0]?.tables ?? '[]') as CloudTableFacts[]
  return tables.map(({ name, columns }) => ({
    name,
    columns: columns.map(({ name, type, notNull, hasDefault, generated }) => ({
      name,
      type,
      notNull,
      hasDefault,
      generated,
    })),
  }))
}

/**
 * Whether a session stays with one process of the server. A pooler that lends processes by transaction gives the
 * one that was just free to whoever comes next: so another session takes it, and the first asks again.
 */
async function hasSession(cloud: pg.Pool): Promise<boolean> {
  const [first, second] = [await cloud.connect(), await cloud.connect()]
  const pidOf = async (session: pg.PoolClient): Promise<number | undefined> =>
    (await session.query<{ pid: number }>(loadSql('relay/session-pid'))).rows[0]?.pid
  try {
    const before = await pidOf(first)
    await second.query('begin')
    const other = await pidOf(second)
    const after = await pidOf(first)
    await second.query('rollback')
    return before === after && other !== before
  } finally {
    first.release()
    second.release()
  }
}
