import { loadSql } from '../../core/sql.ts'
import type { Snapshot } from './snapshot.ts'
import type { Window } from './window.ts'

/**
 * Whether a table was emptied, rewritten, dropped or made after the moment of one of the snapshots. Such a snapshot does not
 * show the rows of its moment any more: TRUNCATE and a rewriting ALTER TABLE leave an empty table to whoever began before
 * (the manual, 13.6, Caveats). To be asked after the rows were read: until then it may still happen.
 */
export async function isReplaced(
  { primary, cloud }: Pick<Window, 'primary' | 'cloud'>,
  table: string,
): Promise<boolean> {
  const both = await Promise.all([hasOtherFile(primary, table), hasOtherFile(cloud, table)])
  return both.includes(true)
}

async function hasOtherFile({ client }: Snapshot, table: string): Promise<boolean> {
  const { rows } = await client.query<{ isReplaced: boolean }>(loadSql('verify/relation-replaced'), [table])
  return rows[0]?.isReplaced ?? true
}
