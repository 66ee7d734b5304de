import t, { type Test } from 'tap'
import { migrate } from '../../core/migrate.ts'
import { createRelaySetup, opsSettings } from '../replication/relay/setup/support.ts'
import { insertTalk, withRole } from '../replication/support.ts'
import { testClusters } from '../support/clusters.ts'
import { createDatabase, queryRows, uniqueName } from '../support/databases.ts'
import { startOps } from '../support/ops-process.ts'
import { passFence } from '../support/oracles/equality.ts'
import { dropRole } from '../support/roles.ts'
import { apply, insert, promote, provesPrimary } from './promote-support.ts'

const nobody = { ownerUrl: '', superuserUrl: '' }

/** A migrated database whose owner is no superuser, as at most providers; the URLs of both. */
async function createOwned(
  t: Test,
  where: 'primary' | 'cloud',
  right: 'createrole' | 'nocreaterole',
): Promise<{ ownerUrl: string; superuserUrl: string }> {
  const cluster = (await testClusters())[where]
  const owner = uniqueName('owner')
  t.teardown(() => dropRole(cluster.superuserUrl(), owner))
  const superuserUrl = await createDatabase(t, where, { migrate: false })
  await queryRows(superuserUrl, `create role ${owner} login ${right} password 'x'`)
  await queryRows(superuserUrl, 'create extension vector')
  await queryRows(superuserUrl, `alter database ${new URL(superuserUrl).pathname.slice(1)} owner to ${owner}`)
  const ownerUrl = withRole(superuserUrl, owner, 'x')
  await migrate(ownerUrl)
  return { ownerUrl, superuserUrl }
}

t.test('owners that are no superusers, and may not replicate', async (t) => {
  let [home, provided] = [nobody, nobody]
  const pair = await createRelaySetup(t, {
    databases: async () => {
      home = await createOwned(t, 'primary', 'nocreaterole')
      provided = await createOwned(t, 'cloud', 'createrole')
      return { primaryUrl: home.superuserUrl, cloudUrl: provided.ownerUrl }
    },
  })
  const { primary, cloud } = pair
  await insertTalk(primary, { id: 1 })
  await pair.setUp()
  const settings = {
    ...opsSettings(pair.urls),
    LOCAL_DATABASE_URL: home.ownerUrl,
    RELAY_STATE_PATH: t.testdir(),
    RELAY_PORT: '0',
  }
  startOps(t, { args: ['relay'], settings })
  await passFence(primary, cloud)
  // Which only an administrator can take back.
  const role = new URL(pair.relayUrl).username
  await queryRows(provided.superuserUrl, `grant set on parameter session_replication_role to ${role}`)

  const done = await promote(t, { settings }, apply)
  t.match(done, { code: 0, value: { mode: 'relay', home: 'alive', loss: { kind: 'none' } } }, done.stderr)
  t.match(
    done.value.left?.join('\n'),
    `as an administrator there: revoke set on parameter session_replication_role from "${role}";`,
  )
  await t.rejects(queryRows(home.superuserUrl, insert, [1]), { code: '25006' }, 'not even a superuser')
  const slots = `select from pg_replication_slots where database = current_database()`
  t.same(await queryRows(home.superuserUrl, slots), [], 'the role that read the slot dropped it')
  await queryRows(provided.superuserUrl, `revoke set on parameter session_replication_role from ${role}`)
  await provesPrimary(t, { cloud, settings })
  t.match(await promote(t, { settings }, apply), { code: 0, value: { mode: 'promoted', steps: [] } })
})

t.test(
  'the relay has the right to switch triggers off for another database of that server too',
  async (t) => {
    const pair = await createRelaySetup(t)
    await insertTalk(pair.primary, { id: 1 })
    await pair.setUp()
    const role = new URL(pair.relayUrl).username
    const other = await createDatabase(t, 'cloud')
    await queryRows(other, `grant select on sources to ${role}`)
    const settings = { ...opsSettings(pair.urls), RELAY_STATE_PATH: t.testdir(), RELAY_PORT: '0' }
    startOps(t, { args: ['relay'], settings })
    const done = await promote(t, { settings }, apply)
    t.equal(done.code, 0, done.stderr)
    const may = `select has_parameter_privilege($1, 'session_replication_role', 'set') as may`
    t.same((await pair.cloud.query(may, [role])).rows, [{ may: true }], 'it goes on there')
  },
)
