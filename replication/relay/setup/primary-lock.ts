import type pg from 'pg'
import { connect, describeServer } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
import { describeHolder, findLockHolder } from '../../../core/lock-holder.ts'
import { loadSql } from '../../../core/sql.ts'

/**
 * Runs `work` while no other setup, copy or promotion of this database runs. The lock goes with this process.
 * @throws HomeportError SETUP_RUNS, exit 1, naming who has it.
 */
export async function withPrimaryLock<T>(url: string, work: () => Promise<T>): Promise<T> {
  const session = await connect({ connectionString: url, applicationName: 'homeport ops' })
  try {
    await session.query(loadSql('relay/endless-session'))
    await session.query(loadSql('relay/brief-keepalive'))
    const { rows } = await session.query<{ taken: boolean }>(loadSql('relay/try-setup-lock'))
    if (rows[0]?.taken !== true) throw await explainHolder(session, url)
    return await work()
  } finally {
    await session.end()
  }
}

async function explainHolder(session: pg.Client, url: string): Promise<HomeportError> {
  const holder = await findLockHolder(session, 'setup')
  const what = `another setup, copy or promotion is under way in ${describeServer(url)}`
  if (holder === null) return new HomeportError('SETUP_RUNS', what, { hint: 'run this again' })
  return new HomeportError('SETUP_RUNS', `${what}: ${describeHolder(holder)}`, {
    hint: `wait for it; where its machine is gone, end it there: select pg_terminate_backend(${holder.pid})`,
  })
}
