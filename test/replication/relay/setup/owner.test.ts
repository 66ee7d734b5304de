import t, { type Test } from 'tap'
import { migrate } from '../../../../core/migrate.ts'
import { reseed } from '../../../../replication/relay/setup/reseed.ts'
import { describeSteps } from '../../../../replication/step.ts'
import { teardownReplication } from '../../../../replication/teardown.ts'
import { testClusters } from '../../../support/clusters.ts'
import { createDatabase, queryRows, uniqueName } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { dropRole } from '../../../support/roles.ts'
import { fillTalks } from '../seed/support.ts'
import { withRole } from '../../support.ts'
import { createRelaySetup, log, type RelaySetup } from './support.ts'

/** A cloud whose owner may create roles and nothing more, as at most providers. */
async function createProvidedCloud(t: Test): Promise<string> {
  const { cloud } = await testClusters()
  const owner = uniqueName('owner')
  t.teardown(() => dropRole(cloud.superuserUrl(), owner))
  const url = await createDatabase(t, 'cloud', { migrate: false })
  await queryRows(url, `create role ${owner} login createrole password 'x'`)
  await queryRows(url, 'create extension vector')
  await queryRows(url, `alter database ${new URL(url).pathname.slice(1)} owner to ${owner}`)
  const ownerUrl = withRole(url, owner, 'x')
  await migrate(ownerUrl)
  return ownerUrl
}

function createProvidedPair(t: Test): Promise<RelaySetup> {
  return createRelaySetup(t, {
    databases: async () => ({
      primaryUrl: await createDatabase(t, 'primary'),
      cloudUrl: await createProvidedCloud(t),
    }),
  })
}

const foreignKeys = `select conname::text as name, pg_get_constraintdef(oid) as definition from pg_constraint
  where contype = 'f' and conrelid = any (array['segments', 'segment_terms', 'model_terms', 'embeddings']::regclass[]) order by 1`

t.test(
  'an owner that is no superuser: foreign keys go, the relay can be set up, and teardown brings them back',
  async (t) => {
    const pair = await createProvidedPair(t)
    const { primaryUrl, cloudUrl } = pair
    await fillTalks(pair.primary, 1, 100)
    const before = await queryRows(cloudUrl, foreignKeys)
    t.ok(before.length >= 4)
    const dry = await pair.setUp({ dryRun: true })
    t.match(
      describeSteps(dry.steps),
      /-- cloud: drop the foreign key .*which the write role may not switch off/,
    )
    t.strictSame(await queryRows(cloudUrl, foreignKeys), before)

    const report = await pair.setUp({ rangeRows: 20 })
    t.notMatch(describeSteps(report.steps), /session_replication_role/)
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    const left = await queryRows(cloudUrl, foreignKeys)
    t.strictSame(left, [], 'those to segments and to models')
    const again = await pair.setUp()
    t.equal(again.changed, false)

    const { replicationUrl, relayUrl } = pair
    const way = { kind: 'direct', relayUrl } as const
    await reseed({ primaryUrl, cloudUrl, replicationUrl, way, log, tables: ['sources'] })
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])

    const removed = await teardownReplication({ ...pair, roles: pair })
    t.strictSame(removed.left, [])
    t.equal(removed.restored.length, before.length)
    t.strictSame(await queryRows(cloudUrl, foreignKeys), before)
    t.strictSame(await teardownReplication({ ...pair, roles: pair }), { removed: [], restored: [], left: [] })
  },
)

t.test('a superuser let the roles set it: the foreign keys stay', async (t) => {
  const pair = await createProvidedPair(t)
  const { cloudUrl } = pair
  await pair.setUp({ dryRun: true })
  const { cloud } = await testClusters()
  const superuserUrl = cloud.superuserUrl(new URL(cloudUrl).pathname.slice(1))
  for (const url of [pair.relayUrl, pair.gatewayUrl]) {
    const role = new URL(url).username
    await queryRows(superuserUrl, `create role ${role}`)
    // From Postgres 16 on, who may create roles may only alter those that are his.
    await queryRows(superuserUrl, `grant ${role} to ${new URL(cloudUrl).username} with admin option`)
    await queryRows(superuserUrl, `grant set on parameter session_replication_role to ${role}`)
  }
  const before = await queryRows(cloudUrl, foreignKeys)
  await fillTalks(pair.primary, 1, 50)
  await pair.setUp({ rangeRows: 10 })
  t.strictSame(await queryRows(cloudUrl, foreignKeys), before)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})
