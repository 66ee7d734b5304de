import { sleep } from '../core/backoff.ts'
import { connect } from '../core/db.ts'
import { errorCode, HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'
import type { Finding } from './finding.ts'
import { isSameServer, readServerFacts } from './server-facts.ts'
import type { Server } from './servers.ts'
import { readSlots, type SlotFacts } from './slot.ts'
import { runStatement } from './run-statement.ts'
import { dropSubscription, planConnection } from './subscription.ts'

export interface ProveConnectionOptions {
  primary: Server
  cloud: Server
  slot: string
  /** the subscription was made just now, and goes again when it does not work */
  isNew: boolean
  /** what its connection was; null when this role may not read it */
  before: string | null
  /** the process that read the slot before */
  pidBefore: number | null
  timeoutMs?: number
  signal?: AbortSignal
}

/**
 * Waits until the cloud reads our slot on our primary. Postgres takes any connection that leads
 * somewhere, another server's too, and then fails without a word at every attempt.
 *
 * @throws HomeportError REPLICATION_ELSEWHERE, exit 2; what was just made or changed is taken back.
 */
export async function proveConnection(options: ProveConnectionOptions): Promise<void> {
  const timeoutMs = options.timeoutMs ?? 20_000
  const startedAt = performance.now()
  for (;;) {
    const slot = (await readSlots(options.primary.pool)).find((one) => one.name === options.slot)
    const waitedMs = performance.now() - startedAt
    if (slot !== undefined && isRead(slot, options, waitedMs)) return
    if (waitedMs > timeoutMs) break
    await sleep(100, options.signal)
  }
  const undone = await undo(options)
  throw new HomeportError(
    'REPLICATION_ELSEWHERE',
    `the cloud does not read the slot ${options.slot} on this primary (waited ${Math.round(timeoutMs / 1000)} s); ${undone}`,
    {
      hint: 'REPLICATION_DATABASE_URL must lead, from the cloud, to the server and database of LOCAL_DATABASE_URL; the log of the cloud server says what it met there',
      exitCode: 2,
    },
  )
}

function isRead(slot: SlotFacts, options: ProveConnectionOptions, waitedMs: number): boolean {
  if (!slot.active) return false
  if (slot.activePid !== options.pidBefore) return true
  // The same process stays when the connection that was set is the one it had.
  return !options.isNew && options.before === null && waitedMs > 1500
}

async function undo(options: ProveConnectionOptions): Promise<string> {
  if (options.isNew) {
    await dropSubscription(options.cloud.pool)
    await options.primary.pool.query(loadSql('replication/drop-idle-slot'), [options.slot])
    return 'subscription and slot are removed again'
  }
  if (options.before === null) return 'its connection was changed, and this role cannot read what it was'
  await runStatement(options.cloud, planConnection(options.before, options.before))
  return 'its connection is what it was before'
}

/**
 * Whether DATABASE_URL reaches the cloud, as far as that shows from here: the api may see it under an
 * address that this machine does not know, so what cannot be reached says nothing.
 */
export async function judgeReaderUrl(url: string, cloud: Server): Promise<Finding[]> {
  try {
    const client = await connect({ connectionString: url, applicationName: 'homeport ops' })
    try {
      const facts = await readServerFacts(client)
      if (isSameServer(facts, cloud.facts) && facts.databaseOid === cloud.facts.databaseOid) return []
      return [readerElsewhere('leads to another server than PRODUCTION_DATABASE_URL')]
    } finally {
      await client.end()
    }
  } catch (error) {
    const code = errorCode(error instanceof HomeportError ? error.cause : error)
    const refused = code === '28P01' || code === '28000' || code === '3D000'
    return refused ? [readerElsewhere('leads to a server that refuses the read-only role')] : []
  }
}

function readerElsewhere(what: string): Finding {
  return {
    code: 'READER_ELSEWHERE',
    side: 'cloud',
    severity: 'warning',
    message: `from here, DATABASE_URL ${what}`,
    fix: 'it is right only when the api, where it runs, reaches the cloud under this address and port; else correct it',
  }
}
