import t from 'tap'
import { createPool } from '../../core/db.ts'
import { createDatabase, queryRows } from '../support/databases.ts'

void t.test('a session that the server ends between two queries does not end the process', async (t) => {
  const connectionString = await createDatabase(t, 'cloud', { migrate: false })
  const pool = createPool({ connectionString, applicationName: 'homeport test', max: 1 })
  t.teardown(() => pool.end())
  const client = await pool.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const gone = new Promise((resolve) => client.once('end', resolve))
  await queryRows(connectionString, 'select pg_terminate_backend($1)', [rows[0]?.pid])
  await gone
  await t.rejects(client.query('select 1'), 'the next query says so')
  client.release(true)
  t.same((await pool.query('select 1 as one')).rows, [{ one: 1 }], 'the pool goes on with another')
})
