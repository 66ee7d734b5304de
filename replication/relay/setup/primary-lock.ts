import type pg from 'pg'
import { connect, describeServer } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
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
  type Holder = { name: string; pid: number; since: Date; address: string | null }
  const [holder] = (await session.query<Holder>(loadSql('relay/setup-lock-holder'))).rows
  const what = `another setup, copy or promotion is under way in ${describeServer(url)}`
  if (holder === undefined) return new HomeportError('SETUP_RUNS', what, { hint: 'run this again' })
  const { name, pid, since, address } = holder
  return new HomeportError(
    'SETUP_RUNS',
    `${what}: ${name}, backend ${pid}, from ${address ?? 'the same machine'}, since ${since.toISOString()}`,
    { hint: `wait for it; where its machine is gone, end it there: select pg_terminate_backend(${pid})` },
  )
}
