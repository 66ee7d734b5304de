import type { Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../core/db.ts'
import { errorCode } from '../../core/errors.ts'
import { setupReplication, type SetupOptions, type SetupReport } from '../../replication/setup.ts'
import { testClusters } from '../support/clusters.ts'
import { createDatabasePair, queryRows, uniqueName } from '../support/databases.ts'

export interface Pair {
  primaryUrl: string
  cloudUrl: string
  /** not created yet */
  readerUrl: string
  replicationUrl: string
}

/** A URL of the same database with another role. */
export function withRole(url: string, role: string, password: string): string {
  const changed = new URL(url)
  changed.username = encodeURIComponent(role)
  changed.password = encodeURIComponent(password)
  return changed.href
}

/** Two migrated databases, and URLs with the names of two roles; the roles are dropped after the test. */
export async function createPair(t: Test, password = `it's a "pass": %/?#`): Promise<Pair> {
  const reader = uniqueName('reader')
  const replicator = uniqueName('replicator')
  const clusters = await testClusters()
  t.teardown(async () => {
    await queryRows(clusters.cloud.superuserUrl('postgres'), `drop role if exists ${reader}`)
    await queryRows(clusters.primary.superuserUrl('postgres'), `drop role if exists ${replicator}`)
  })
  const { primaryUrl, cloudUrl } = await createDatabasePair(t)
  return {
    primaryUrl,
    cloudUrl,
    readerUrl: withRole(cloudUrl, reader, password),
    replicationUrl: withRole(primaryUrl, replicator, password),
  }
}

export interface Replication extends Pair {
  primary: pg.Pool
  cloud: pg.Pool
  report: SetupReport
}

/** A pair that replicates, with a session pool to each side. */
export async function createReplication(t: Test, options: Partial<SetupOptions> = {}): Promise<Replication> {
  const pair = await createPair(t)
  const report = await setupReplication({ ...pair, ...options })
  const primary = createPool({ connectionString: pair.primaryUrl, applicationName: 'homeport test' })
  const cloud = createPool({ connectionString: pair.cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => Promise.all([primary.end(), cloud.end()]))
  return { ...pair, primary, cloud, report }
}

export interface Row {
  id: number
  visibility?: 'public' | 'unlisted' | 'private'
  text?: string
}

/** A source with one segment, its terms and its vector, all with the same id, in one transaction. */
export async function insertTalk(db: pg.Pool, row: Row): Promise<void> {
  const visibility = row.visibility ?? 'public'
  const client = await db.connect()
  try {
    await client.query('begin')
    await client.query(
      `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
       values ($1, 'video', 'a talk', $2, 'transcript', now())`,
      [row.id, visibility],
    )
    await client.query(
      `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
       values ($1, $1, $2, 0, $3, '[]', 'test')`,
      [row.id, visibility, row.text ?? `words of ${row.id}`],
    )
    await client.query(
      `insert into segment_terms (segment_id, visibility, terms, counts, length) values ($1, $2, '{1,2}', '{1,1}', 2)`,
      [row.id, visibility],
    )
    await client.query(
      `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state, activated_at)
       values (1, 'test', 'lsa', 'x', 3, 0.8, 0.2, 'active', now()) on conflict do nothing`,
    )
    await client.query(
      `insert into embeddings (model_id, segment_id, visibility, embedding) values (1, $1, $2, '[1,0.5,0.25]')`,
      [row.id, visibility],
    )
    await client.query('commit')
  } finally {
    client.release()
  }
}

/** The ids of segments on one side, in order. */
export async function segmentIds(db: pg.Pool): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>('select id from segments order by id')
  return rows.map((row) => row.id)
}

/** Changes a side behind the back of replication: no trigger fires, as when a subscription applies. */
export async function plant(db: pg.Pool, sql: string): Promise<void> {
  for (;;) {
    try {
      await db.query(`begin; set local session_replication_role = replica; ${sql}; commit`)
      return
    } catch (error) {
      // With whoever applies the primary's changes to the same rows, in another order.
      if (errorCode(error) !== '40P01') throw error
    }
  }
}
