import { connect } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
import { loadSql } from '../../../core/sql.ts'

/**
 * Runs `work` while no other setup or copy of this primary runs. The lock goes with this process.
 * @throws HomeportError SETUP_RUNS, exit 1.
 */
export async function withPrimaryLock<T>(primaryUrl: string, work: () => Promise<T>): Promise<T> {
  const session = await connect({ connectionString: primaryUrl, applicationName: 'homeport ops' })
  try {
    await session.query(loadSql('relay/endless-session'))
    const { rows } = await session.query<{ taken: boolean }>(loadSql('relay/try-setup-lock'))
    if (rows[0]?.taken !== true) {
      throw new HomeportError('SETUP_RUNS', 'another setup or copy from this primary is running', {
        hint: 'wait for it; on the primary its session has the application_name "homeport ops"',
      })
    }
    return await work()
  } finally {
    await session.end()
  }
}
