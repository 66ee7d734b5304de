import t from 'tap'
import { createDatabase, createDatabasePair, queryRows, uniqueName } from './databases.ts'

t.test(
  'a pair of migrated databases that can replicate, and are gone with slot and subscription afterwards',
  async (t) => {
    const name = uniqueName('sub')
    let urls = { primaryUrl: '', cloudUrl: '' }
    await t.test('use', async (t) => {
      urls = await createDatabasePair(t)
      await queryRows(urls.primaryUrl, `create publication everything for all tables`)
      await queryRows(
        urls.cloudUrl,
        `create subscription ${name} connection '${urls.primaryUrl}' publication everything`,
      )
      const slots = await queryRows(
        urls.primaryUrl,
        `select from pg_replication_slots where slot_name = $1`,
        [name],
      )
      t.equal(slots.length, 1)
      const tables = await queryRows(urls.cloudUrl, `select from pg_tables where tablename = 'segments'`)
      t.equal(tables.length, 1)
    })
    const other = await createDatabase(t, 'primary', { migrate: false })
    const slots = await queryRows(other, `select from pg_replication_slots where slot_name = $1`, [name])
    t.equal(slots.length, 0)
    await t.rejects(queryRows(urls.primaryUrl, 'select 1'), { code: 'DATABASE_UNREACHABLE' })
    await t.rejects(queryRows(urls.cloudUrl, 'select 1'), { code: 'DATABASE_UNREACHABLE' })
  },
)
