import type { Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../../core/db.ts'
import { migrate } from '../../../core/migrate.ts'
import { setupReplication } from '../../../replication/setup.ts'
import type { Cluster } from '../../../ops/local/cluster.ts'
import { testClusters } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'
import { createPair, withRole } from '../support.ts'

/** What a verification needs, however the cloud follows. */
export interface Followed {
  primary: pg.Pool
  cloud: pg.Pool
  primaryUrl: string
  replicationUrl: string
}

/** A native pair whose cloud is unlike its primary; on a server of the test's own when one is given. */
export async function createUnlikePair(t: Test, ownCloud?: Cluster): Promise<Followed> {
  const made = await createPair(t)
  const name = new URL(made.cloudUrl).pathname.slice(1)
  const cluster = ownCloud ?? (await testClusters()).cloud
  const cloudUrl = cluster.superuserUrl(name)
  const { username, password } = new URL(made.readerUrl)
  const readerUrl = withRole(cloudUrl, decodeURIComponent(username), decodeURIComponent(password))
  const admin = cluster.superuserUrl()
  await queryRows(admin, `drop database if exists ${name}`)
  await createUnlikeDatabase(admin, name)
  await migrate(cloudUrl)
  const pair = { ...made, cloudUrl, readerUrl }
  await setupReplication(pair)
  const open = (connectionString: string): pg.Pool => {
    const pool = createPool({ connectionString, applicationName: 'homeport test' })
    t.teardown(() => pool.end())
    return pool
  }
  return { ...pair, primary: open(pair.primaryUrl), cloud: open(pair.cloudUrl) }
}

/** A database in which the order of texts, and everything that a session may set, is another than on the primary. */
async function createUnlikeDatabase(admin: string, name: string): Promise<void> {
  await queryRows(
    admin,
    `create database ${name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'sv-u-kf-upper'`,
  )
  for (const statement of unlikeSettings(name)) await queryRows(admin, statement)
}

/** Statements after which new sessions of a database read and print values in other ways. */
export function unlikeSettings(database: string): string[] {
  const settings = {
    timezone: 'Asia/Kathmandu',
    datestyle: 'German, DMY',
    intervalstyle: 'sql_standard',
    extra_float_digits: '-5',
    bytea_output: 'escape',
  }
  return Object.entries(settings).map(
    ([setting, value]) => `alter database ${database} set ${setting} = '${value}'`,
  )
}
