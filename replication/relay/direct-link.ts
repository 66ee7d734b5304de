import type pg from 'pg'
import { createPool, explainConnectionError, type PoolOptions } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { applyBatch } from './apply/apply-batch.ts'
import type { CloudLink, SeedLink } from './cloud-link.ts'
import { acquireLease, describeCloud, readProgress, renewLease, reportState } from './lease.ts'

export interface DirectLinkOptions {
  connectionString: string
  seed: (pool: pg.Pool) => SeedLink
  log: Logger
  applicationName?: string
  /** default 10 s */
  connectTimeoutMs?: number
  /** of one statement of a batch, which writes at most some hundred rows (default 60 s) */
  statementTimeoutMs?: number
  /** who applies through it (default relay) */
  side?: 'relay' | 'gateway'
}

/** How long the cloud may take for a question about itself; a dead link is noticed by it. */
const questionTimeoutMs = 30_000

/** The cloud's Postgres, straight: batches and copies by sessions of one pool, small questions by another. */
export function openDirectLink(options: DirectLinkOptions): CloudLink {
  const { connectionString, connectTimeoutMs, statementTimeoutMs, log } = options
  const poolOptions: PoolOptions = {
    connectionString,
    applicationName: options.applicationName ?? 'homeport relay',
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  }
  // A session stays for the next batch: over a long way a new one costs more than the batch.
  const batches = createPool({ ...poolOptions, max: 10, min: 1 })
  const questions = createPool({ ...poolOptions, max: 3, queryTimeoutMs: questionTimeoutMs })
  let closing: Promise<unknown> | null = null

  return {
    name: 'direct',
    describe: (slot) => ask(() => describeCloud(questions, slot)),
    acquire: (request) => ask(() => acquireLease(questions, request)),
    renew: (lease) => ask(() => renewLease(questions, lease)),
    readProgress: (slot) => ask(() => readProgress(questions, slot)),
    report: (lease, report) => ask(() => reportState(questions, lease, report)),
    async apply(batch, applyOptions) {
      const session = await connectSession()
      let isBroken = true
      try {
        const outcome = await applyBatch(session, batch, {
          ...applyOptions,
          side: options.side ?? 'relay',
          ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
        })
        isBroken = false
        return outcome
      } catch (error) {
        // What stops us was the cloud's answer: the session is fine.
        isBroken = !(error instanceof HomeportError)
        throw error
      } finally {
        session.release(isBroken)
      }
    },
    seed: options.seed(batches),
    async close() {
      closing ??= Promise.all([batches.end(), questions.end()])
      await closing
    },
  }

  async function connectSession(): Promise<pg.PoolClient> {
    return ask(() => batches.connect())
  }

  /** Tells a connection that could not be made from what the cloud answered. */
  async function ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof HomeportError || !isConnectionFailure(error)) throw error
      log.debug({ err: error }, 'the cloud cannot be reached')
      throw explainConnectionError(error, poolOptions)
    }
  }
}

/** A failure to connect, which comes from the network, or from the server before there is a session. */
function isConnectionFailure(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { severity, code } = error as { severity?: string; code?: string }
  return (
    severity === 'FATAL' || (severity === undefined && (code === undefined || !/^[0-9A-Z]{5}$/.test(code)))
  )
}
