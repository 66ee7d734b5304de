import type pg from 'pg'
import { sleep } from '../core/backoff.ts'
import { errorCode, errorMessage } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'
import type { Server } from './servers.ts'
import type { Step } from './step.ts'

/**
 * Runs one statement of a plan in a session of its own. One with a secret goes as a parameter and is
 * run from within the server: its text would stand in pg_stat_activity, in pg_stat_statements, and in
 * the log when it fails or all are logged. One that meets another of its kind at the same moment is run again.
 */
export async function runStatement(
  server: Pick<Server, 'pool' | 'facts'>,
  step: Pick<Step, 'sql' | 'shown'>,
  timeoutMs = 0,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(server, step, timeoutMs)
    } catch (error) {
      if (attempt === maxAttempts || !isConcurrentUpdate(error)) throw error
      await sleep(50 * attempt)
    }
  }
}

const maxAttempts = 5

/** Two setups that grant rights on one thing (another database's, a parameter's): Postgres makes no one wait for that. */
export function isConcurrentUpdate(error: unknown): boolean {
  return errorCode(error) === 'XX000' && /tuple concurrently (?:updated|deleted)/.test(errorMessage(error))
}

async function runOnce(
  server: Pick<Server, 'pool' | 'facts'>,
  step: Pick<Step, 'sql' | 'shown'>,
  timeoutMs: number,
): Promise<void> {
  const client = await server.pool.connect()
  try {
    await client.query(`set statement_timeout = ${timeoutMs}`)
    if (step.shown === undefined) {
      await client.query(step.sql)
      return
    }
    if (server.facts.superuser) await quietServerLog(client)
    await client.query(loadSql('replication/hold-statement'), [step.sql])
    await client.query(loadSql('replication/run-held-statement'))
  } finally {
    // The settings above must not outlive the statement.
    client.release(true)
  }
}

/** A server that logs everything logs parameters too; only a superuser can ask it not to. */
async function quietServerLog(client: pg.PoolClient): Promise<void> {
  await client.query(
    "set log_statement = 'none'; set log_min_error_statement = 'panic'; set log_min_duration_statement = -1",
  )
}
