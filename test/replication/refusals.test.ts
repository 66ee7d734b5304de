import t from 'tap'
import { migrateBoth } from '../../replication/migrate-both.ts'
import { setupReplication } from '../../replication/setup.ts'
import { choosePort } from '../../ops/local/ports.ts'
import { testClusters } from '../support/clusters.ts'
import { createDatabase, queryRows, uniqueName } from '../support/databases.ts'
import { createPair, insertTalk, withRole } from './support.ts'
import { createPool } from '../../core/db.ts'

t.test('one server on both sides is refused before anything happens', async (t) => {
  const pair = await createPair(t)
  const other = await createDatabase(t, 'primary')
  for (const cloudUrl of [pair.primaryUrl, other]) {
    const wanted = { code: 'SAME_SERVER', exitCode: 2 }
    await t.rejects(setupReplication({ ...pair, cloudUrl }), wanted)
    await t.rejects(migrateBoth({ primaryUrl: pair.primaryUrl, cloudUrl }), wanted)
  }
})

t.test('a database that is not there', async (t) => {
  const clusters = await testClusters()
  const pair = await createPair(t)
  const cloudUrl = clusters.cloud.superuserUrl('nowhere')
  await t.rejects(setupReplication({ ...pair, cloudUrl }), {
    code: 'DATABASE_UNREACHABLE',
    message: /the database does not exist/,
  })
})

t.test('tables that were never migrated are named', async (t) => {
  const pair = await createPair(t)
  const cloudUrl = await createDatabase(t, 'cloud', { migrate: false })
  const readerUrl = withRole(cloudUrl, 'nobody', 'x')
  await t.rejects(setupReplication({ ...pair, cloudUrl, readerUrl }), {
    code: 'NOT_MIGRATED',
    hint: 'ops migrate',
  })
})

t.test('rows in the cloud that no subscription brought are refused, with advice, and stay', async (t) => {
  const pair = await createPair(t)
  const cloud = createPool({ connectionString: pair.cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => cloud.end())
  await insertTalk(cloud, { id: 1 })
  await t.rejects(setupReplication(pair), {
    code: 'CLOUD_NOT_EMPTY',
    hint: /truncate .*sources.* cascade/,
    exitCode: 2,
  })
  t.equal((await cloud.query('select from sources')).rowCount, 1)
})

t.test('an altered replica identity and a role with other duties are told together', async (t) => {
  const pair = await createPair(t)
  const role = new URL(pair.readerUrl).username
  await queryRows(pair.cloudUrl, `create role ${role} createdb`)
  await queryRows(pair.primaryUrl, 'alter table sources replica identity default')
  await t.rejects(setupReplication(pair), {
    code: 'PREFLIGHT',
    message: /may create databases[\s\S]*replica identity of sources lacks visibility/,
  })
})

t.test('an address that the cloud cannot reach is explained, and no slot stays behind', async (t) => {
  const pair = await createPair(t, 'hunter2secret')
  const url = new URL(pair.replicationUrl)
  url.port = String(await choosePort())
  const error = await setupReplication({ ...pair, replicationUrl: url.href }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.match(error, { code: 'REPLICATION_REFUSED', hint: /listen_addresses/ })
  t.notMatch(JSON.stringify(error) + String(error), 'hunter2secret')
  t.strictSame(
    await queryRows(
      pair.primaryUrl,
      'select slot_name from pg_replication_slots where database = current_database()',
    ),
    [],
  )
  t.equal((await setupReplication(pair)).changed, true, 'and the next run goes through')
})

t.test('an open transaction that a new slot would wait for is named', async (t) => {
  const pair = await createPair(t)
  const pool = createPool({ connectionString: pair.primaryUrl, applicationName: 'homeport test' })
  t.teardown(() => pool.end())
  const writer = await pool.connect()
  const { rows } = await writer.query<{ pid: number }>('select pg_backend_pid() as pid')
  await writer.query('begin; insert into lexicon values (1, 1)')
  await t.rejects(setupReplication({ ...pair, slotTimeoutMs: 500 }), {
    code: 'SLOT_WAITS',
    message: new RegExp(`process ${rows[0]?.pid ?? 'unknown'} `),
  })
  await writer.query('rollback')
  writer.release()
})

t.test('a role of the same name as the owner is refused', async (t) => {
  const pair = await createPair(t)
  const owner = new URL(pair.primaryUrl).username
  const replicationUrl = withRole(pair.primaryUrl, owner, uniqueName('x'))
  await t.rejects(setupReplication({ ...pair, replicationUrl }), { code: 'ROLE_CONFLICT', exitCode: 2 })
})
