import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type pg from 'pg'
import { connect } from '../../core/db.ts'
import { migrate } from '../../core/migrate.ts'
import { sqlFolder } from '../../core/sql.ts'
import type { Cluster } from '../../ops/local/cluster.ts'
import { testClusters } from './clusters.ts'

const applicationName = 'homeport test support'

/** A name that no other test uses, for roles, slots and databases, which a whole cluster shares. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString('hex')}`
}

/** Two fresh migrated databases as superuser; dropped with their subscriptions and slots after the test. */
export async function createDatabasePair(t: Test): Promise<{ primaryUrl: string; cloudUrl: string }> {
  // The cloud's is created last and so dropped first: its subscription holds a slot on the primary.
  const primaryUrl = await createDatabase(t, 'primary')
  const cloudUrl = await createDatabase(t, 'cloud')
  return { primaryUrl, cloudUrl }
}

/** One fresh database, migrated unless `migrate` is false; the URL is the superuser's. */
export async function createDatabase(
  t: Test,
  where: 'primary' | 'cloud',
  options: { migrate?: boolean } = {},
): Promise<string> {
  const cluster = (await testClusters())[where]
  // The process in its name owns it; what a killed one left behind goes with the pair.
  const name = uniqueName(`test_${process.pid}`)
  const template = (options.migrate ?? true) ? await migratedTemplate(cluster) : 'template0'
  await onCluster(cluster, (db) => db.query(`create database ${name} template ${template}`))
  t.teardown(() => dropDatabase(cluster, name))
  return cluster.superuserUrl(name)
}

/** Runs one statement with a session of its own and returns its rows. */
export async function queryRows<Row extends pg.QueryResultRow>(
  connectionString: string,
  statement: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const db = await connect({ connectionString, applicationName })
  try {
    return (await db.query<Row>(statement, values)).rows
  } finally {
    await db.end()
  }
}

async function onCluster<T>(cluster: Cluster, work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = await connect({ connectionString: cluster.superuserUrl(), applicationName })
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}

/** The name of a database with all migrations applied, made once for each state of sql/migrations. */
async function migratedTemplate(cluster: Cluster): Promise<string> {
  const name = `template_${migrationsHash()}`
  await onCluster(cluster, async (db) => {
    // Test files run side by side; the lock ends with this session.
    await db.query(`select pg_advisory_lock(hashtext('homeport test template'))`)
    const { rows } = await db.query(`select from pg_database where datname = $1`, [name])
    if (rows.length > 0) return
    const draft = `${name}_draft`
    await db.query(`drop database if exists ${draft} with (force)`)
    await db.query(`create database ${draft} template template0`)
    await migrate(cluster.superuserUrl(draft))
    // Named last, so that a template which was cut off is made again.
    await db.query(`alter database ${draft} rename to ${name}`)
  })
  return name
}

function migrationsHash(): string {
  const folder = join(sqlFolder, 'migrations')
  const hash = createHash('sha256')
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)))
  return hash.digest('hex').slice(0, 12)
}

async function dropDatabase(cluster: Cluster, name: string): Promise<void> {
  // A test that was about an absent server may have left it stopped.
  await cluster.start()
  await dropSubscriptions(cluster.superuserUrl(name))
  await onCluster(cluster, async (db) => {
    await dropSlots(db, name)
    await db.query(`drop database if exists ${name} with (force)`)
  })
}

async function dropSubscriptions(connectionString: string): Promise<void> {
  const db = await connect({ connectionString, applicationName })
  try {
    const { rows } = await db.query<{ name: string }>(
      `select quote_ident(subname) as name from pg_subscription
       where subdbid = (select oid from pg_database where datname = current_database())`,
    )
    for (const { name } of rows) {
      await db.query(`alter subscription ${name} disable`)
      // Without its slot the primary need not be there; the slot goes with the primary's database.
      await db.query(`alter subscription ${name} set (slot_name = none)`)
      await db.query(`drop subscription ${name}`)
    }
  } finally {
    await db.end()
  }
}

async function dropSlots(db: pg.Client, database: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const { rows } = await db.query<{ slot_name: string; active_pid: number | null }>(
      `select slot_name, active_pid from pg_replication_slots where database = $1`,
      [database],
    )
    if (rows.length === 0) return
    for (const slot of rows) {
      if (slot.active_pid === null) {
        await db.query(
          `select pg_drop_replication_slot($1) where exists
                          (select from pg_replication_slots where slot_name = $1 and not active)`,
          [slot.slot_name],
        )
      } else await db.query(`select pg_terminate_backend($1)`, [slot.active_pid])
    }
    await sleep(20)
  }
  throw new Error(`the slots of ${database} are still in use`)
}
