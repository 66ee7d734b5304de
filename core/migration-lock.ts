import { sleep } from './backoff.ts'
import { describeServer, type Queryable } from './db.ts'
import { HomeportError } from './errors.ts'
import { describeHolder, findLockHolder } from './lock-holder.ts'
import { loadSql } from './sql.ts'

export interface MigrationLockOptions {
  /** of the database, for messages */
  connectionString: string
  /** how long another migration of it is waited for (default 60 s) */
  migrationWaitMs?: number
  /** what is waited for, in words */
  onNote?: (text: string) => void
  signal?: AbortSignal
}

/**
 * Makes the open transaction of this session the only one that migrates its database, until it ends.
 * @throws HomeportError MIGRATION_RUNS, naming who does; the signal's reason.
 */
export async function takeMigrationLock(db: Queryable, options: MigrationLockOptions): Promise<void> {
  const deadline = performance.now() + (options.migrationWaitMs ?? 60_000)
  for (let isFirst = true; ; isFirst = false) {
    const { rows } = await db.query<{ taken: boolean }>(loadSql('checks/try-migration-lock'))
    if (rows[0]?.taken === true) return
    if (performance.now() >= deadline) throw await explainHolder(db, options)
    if (isFirst) options.onNote?.(`waiting: ${(await explainHolder(db, options)).message}`)
    await sleep(100, options.signal)
  }
}

async function explainHolder(db: Queryable, options: MigrationLockOptions): Promise<HomeportError> {
  const holder = await findLockHolder(db, 'migrate')
  const what = `another ops migrate is at work in ${describeServer(options.connectionString)}`
  if (holder === null) return new HomeportError('MIGRATION_RUNS', what, { hint: 'ops migrate again' })
  return new HomeportError('MIGRATION_RUNS', `${what}: ${describeHolder(holder)}`, {
    hint: `let it end, then ops migrate again; where its machine is gone, there: select pg_terminate_backend(${holder.pid})`,
  })
}
