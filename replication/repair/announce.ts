import type { Queryable } from '../../core/db.ts'
import { fragment, loadSql, renderSql } from '../../core/sql.ts'
import type { Key } from '../verify/row-hash.ts'
import type { Subject } from '../verify/subjects.ts'
import { byKeys, keyParameters } from '../verify/table-hash.ts'

interface Unannounced {
  id: string
  table: string
  key: Key
}

/**
 * Gives every repaired row a new number on the primary, which travels like any other change: indexes in memory read the
 * cloud in the order of these numbers, and would keep the wrong row that they once read. What the journal has as not
 * announced is done again, so it may be cut off anywhere.
 */
export async function announceRepairs(options: {
  primary: Queryable
  cloud: Queryable
  subjects: readonly Subject[]
}): Promise<number> {
  const { primary, cloud } = options
  const numbered = options.subjects.filter(({ table }) => table.columns.includes('change_seq'))
  // Those of tombstones are their keys.
  const subjects = numbered.filter(({ table }) => !table.key.includes('change_seq'))
  const names = subjects.map(({ table }) => table.name)
  for (let announced = 0; ;) {
    const { rows } = await cloud.query<Unannounced>(loadSql('repair/unannounced'), [names])
    if (rows.length === 0) return announced
    for (const { table, primarySql } of subjects) {
      const keys = rows.filter((row) => row.table === table.name).map((row) => row.key)
      if (keys.length === 0) continue
      await primary.query(
        renderSql('repair/announce', {
          table: primarySql.table,
          assignments: fragment(`change_seq = nextval('change_seq')`),
          ...byKeys(primarySql),
        }),
        keyParameters(primarySql, keys),
      )
    }
    await cloud.query(loadSql('repair/announced'), [rows.map((row) => row.id)])
    announced += rows.length
  }
}
