import type pg from 'pg'
import { errorMessage, HomeportError } from '../../core/errors.ts'
import type { Finding } from '../finding.ts'
import { proveReplicationUrl } from '../relay/setup/prove.ts'
import { readServerFacts } from '../server-facts.ts'
import type { ExactVerification } from '../verify/findings.ts'
import { IncrementalVerifier, type IncrementalVerification } from '../verify/incremental.ts'
import { verifyExact } from '../verify/verify-exact.ts'
import { verifyTables, type TableVerification } from '../verify/verify-tables.ts'

export interface VerificationOptions {
  primary: pg.Pool
  cloud: pg.Pool
  /** of the primary's owner; taken for replication where that role may */
  primaryUrl?: string
  /** REPLICATION_DATABASE_URL */
  replicationUrl?: string
  fenceTimeoutMs?: number
}

export interface Verified {
  tables: readonly TableVerification[]
  /** rows that were compared, where it was not all of them */
  comparedRows: number | null
  /** what keeps the comparison from being as exact as it could be */
  findings: readonly Finding[]
}

/**
 * Compares every published table: exactly at one position of the log where a slot can be had for it, else by hashes
 * with a fence, and says so.
 *
 * @throws HomeportError what verifyExact throws; the signal's reason.
 */
export async function verifyContent(
  options: VerificationOptions & { signal?: AbortSignal },
): Promise<Verified> {
  const found = await findReplicationUrl(options)
  if ('reason' in found) return verifyByHashes(options, found)
  try {
    const tables = await verifyExact({ ...options, replicationUrl: found.url })
    return { tables: tables.map(asTable), comparedRows: null, findings: [] }
  } catch (error) {
    return verifyByHashes(options, whyNoSlot(error))
  }
}

/** Why a comparison has no slot of its own, and what gives it one. */
interface NoSlot {
  reason: string
  fix: string
}

const slotCodes = [
  'TOO_FEW_SLOTS',
  'TOO_FEW_WAL_SENDERS',
  'SLOT_WAITS',
  'REPLICATION_DENIED',
  'POOLED_CONNECTION',
]

/** @throws anything else. */
function whyNoSlot(error: unknown): NoSlot {
  if (!(error instanceof HomeportError && slotCodes.includes(error.code))) throw error
  return { reason: errorMessage(error), fix: error.hint ?? otherUrl }
}

async function verifyByHashes(
  options: VerificationOptions & { signal?: AbortSignal },
  { reason, fix }: NoSlot,
): Promise<Verified> {
  const lessExact: Finding = {
    code: 'VERIFY_LESS_EXACT',
    side: 'primary',
    severity: 'warning',
    message: `the comparison has no slot of its own, so rows that change all the time may stay undetermined: ${reason}`,
    fix,
  }
  return { tables: await verifyTables(options), comparedRows: null, findings: [lessExact] }
}

const fullEveryMs = 24 * 3_600_000

/**
 * The same again and again, for a monitor that stays: every row at first and once a day, else what may have changed.
 * A day of the clock on the wall: a machine that sleeps at night has days as well.
 */
export class ContentVerifier {
  readonly #options: VerificationOptions
  readonly #nowMs: () => number
  #incremental: { url: string; verifier: IncrementalVerifier } | null = null
  #fullMs = -Infinity

  /** @param nowMs since 1970; by default this machine's clock */
  constructor(options: VerificationOptions, nowMs: () => number = Date.now) {
    this.#options = options
    this.#nowMs = nowMs
  }

  /** One run at a time. @throws HomeportError as {@link verifyContent}. */
  async verify(signal: AbortSignal): Promise<Verified> {
    const found = await findReplicationUrl(this.#options)
    if ('reason' in found) {
      await this.close()
      return verifyByHashes({ ...this.#options, signal }, found)
    }
    if (this.#incremental?.url !== found.url) await this.close()
    this.#incremental ??= {
      url: found.url,
      verifier: new IncrementalVerifier({ ...this.#options, replicationUrl: found.url }),
    }
    const ageMs = this.#nowMs() - this.#fullMs
    // Less than none: the clock was set back, and nobody knows how long ago it was.
    const full = ageMs >= fullEveryMs || ageMs < 0
    const { verifier } = this.#incremental
    let results: IncrementalVerification[]
    try {
      results = await verifier.verify({ full, signal })
    } catch (error) {
      return verifyByHashes({ ...this.#options, signal }, whyNoSlot(error))
    }
    const isFull = results.every((one) => one.isFull)
    if (isFull) this.#fullMs = this.#nowMs()
    const comparedRows = isFull ? null : results.reduce((sum, one) => sum + one.comparedRows, 0)
    return { tables: results.map(asTable), comparedRows, findings: [] }
  }

  async close(): Promise<void> {
    const { verifier } = this.#incremental ?? {}
    this.#incremental = null
    this.#fullMs = -Infinity
    await verifier?.close()
  }
}

const otherUrl =
  'set REPLICATION_DATABASE_URL to the primary as it is reached from here, with the replication role'

/** The owner where it may replicate: what REPLICATION_DATABASE_URL names may be another way to the same server. */
export async function findReplicationUrl(
  options: Pick<VerificationOptions, 'primary' | 'primaryUrl' | 'replicationUrl'>,
): Promise<{ url: string } | NoSlot> {
  const { primary, primaryUrl, replicationUrl } = options
  const facts = await readServerFacts(primary)
  if (primaryUrl !== undefined && (facts.superuser || facts.replication)) return { url: primaryUrl }
  if (replicationUrl === undefined) {
    const reason = 'the role of LOCAL_DATABASE_URL may not replicate, and REPLICATION_DATABASE_URL is not set'
    return { reason, fix: otherUrl }
  }
  try {
    await proveReplicationUrl(replicationUrl, {
      side: 'primary',
      url: primaryUrl ?? '',
      pool: primary,
      facts,
    })
    return { url: replicationUrl }
  } catch (error) {
    // In native mode it is the way from the cloud, which may not lead there from here.
    if (error instanceof HomeportError) return { reason: errorMessage(error), fix: otherUrl }
    throw error
  }
}

function asTable(one: ExactVerification): TableVerification {
  const { table, verdict, primaryRows, cloudRows, differences, reason, lsn } = one
  const moreDifferences = one.moreDifferences > 0
  return { table, verdict, primaryRows, cloudRows, differences, moreDifferences, reason, lsn }
}
