import type { Queryable } from '../core/db.ts'
import { HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'

interface OpenTransaction {
  what: string
  /** the statement that ends it */
  remedy: string
  openSeconds: number
}

/** Which open transactions of the primary a new slot waited for, in vain. */
export async function explainWaitingSlot(primary: Queryable, cause: unknown): Promise<HomeportError> {
  const { rows: open } = await primary.query<OpenTransaction>(loadSql('checks/old-transactions'))
  const list = open.map((one) => `${one.what} (open for ${Math.round(one.openSeconds)} s)`).join(', ')
  const known = open.length > 0
  return new HomeportError(
    'SLOT_WAITS',
    `a new slot waits for open transactions on the primary: ${known ? list : 'of roles that this one may not look at'}`,
    {
      hint: known
        ? `let them end, or there: ${open.map((one) => one.remedy).join('; ')}; then run this again`
        : 'as a superuser there: select pid, usename from pg_stat_activity where backend_xid is not null; end them and run this again',
      cause,
    },
  )
}
