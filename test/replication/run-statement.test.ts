import t from 'tap'
import { createPool } from '../../core/db.ts'
import { runStatement } from '../../replication/run-statement.ts'
import { createDatabase, queryRows, uniqueName } from '../support/databases.ts'
import { readServerFacts } from '../../replication/server-facts.ts'

t.test('setups at the same time that grant rights on one thing', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const pool = createPool({ connectionString: url, applicationName: 'homeport test', max: 8 })
  const roles = Array.from({ length: 8 }, () => uniqueName('grantee'))
  for (const role of roles) await queryRows(url, `create role ${role}`)
  t.teardown(async () => {
    for (const role of roles) {
      await pool.query(`revoke set on parameter session_replication_role from ${role}; drop role ${role}`)
    }
    await pool.end()
  })
  const facts = await readServerFacts(pool)
  const grants = roles.map((role) => `grant set on parameter session_replication_role to ${role}`)
  await t.resolves(Promise.all(grants.map((sql) => runStatement({ pool, facts }, { sql }))))
  await t.rejects(
    runStatement({ pool, facts }, { sql: 'select 1 / 0' }),
    { code: '22012' },
    'anything else is not',
  )
})
