import t from 'tap'
import { createPool } from '../../../core/db.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { loadSql } from '../../../core/sql.ts'
import { contentTriggers, foreignKeys, replicaIdentities } from '../../../replication/promote/schema-parts.ts'
import { readForeignKeys } from '../../../replication/relay/setup/foreign-keys.ts'
import { readTableFacts } from '../../../replication/table-facts.ts'
import { createDatabase } from '../../support/databases.ts'

t.test('the lists are what the migrations make', async (t) => {
  const pool = createPool({
    connectionString: await createDatabase(t, 'cloud'),
    applicationName: 'homeport test',
  })
  t.teardown(() => pool.end())
  t.same(await readForeignKeys(pool), foreignKeys)
  const names = publishedTables.map((table) => table.name)
  const triggers = await pool.query(loadSql('promote/content-triggers'), [names])
  t.same(
    triggers.rows,
    contentTriggers.map((one) => ({ ...one, fires: true })),
  )
  const tables = await readTableFacts(pool, publishedTables)
  for (const { table, index, columns } of replicaIdentities) {
    t.same(tables.get(table)?.identity, columns, table)
    const indexes = await pool.query(`select from pg_indexes where tablename = $1 and indexname = $2`, [
      table,
      index,
    ])
    t.equal(indexes.rowCount, 1, index)
  }
  const filtered = publishedTables.filter((table) => table.filter !== undefined).map((table) => table.name)
  t.same(
    replicaIdentities.map((one) => one.table),
    filtered,
    'every table whose rows are filtered',
  )
})
