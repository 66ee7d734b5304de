import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { createPool } from '../../core/db.ts'
import { migrate } from '../../core/migrate.ts'
import { publicationName, publishedTables, subscriptionName } from '../../core/published-tables.ts'
import { Cluster } from '../../ops/local/cluster.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { findPostgres } from '../../ops/local/find-postgres.ts'
import { dimensions, modelId, prepareCorpus } from './relay-corpus.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const rowsAtOnce = 50_000

/** Two durable servers with the same vectors, the second following the first natively. */
export class VerifyBench {
  readonly rows: number
  readonly #folder: string
  readonly #clusters: readonly [primary: Cluster, cloud: Cluster]
  #pools: readonly pg.Pool[] = []

  constructor(rows: number) {
    this.rows = rows
    this.#folder = resolveDataFolder(join(repository, `data/bench-${process.pid}`)).folder
    const cluster = (name: string) =>
      new Cluster({ name, folder: join(this.#folder, name), postgres: findPostgres() })
    this.#clusters = [cluster('primary'), cluster('cloud')]
  }

  get replicationUrl(): string {
    return this.#clusters[0].superuserUrl('bench')
  }

  get primary(): pg.Pool {
    return this.#pool(0)
  }

  get cloud(): pg.Pool {
    return this.#pool(1)
  }

  async open(note: (text: string) => void): Promise<void> {
    note(`filling two servers with ${this.rows} vectors of ${dimensions} dimensions each ...`)
    await Promise.all(this.#clusters.map((cluster) => this.#fill(cluster)))
    this.#pools = this.#clusters.map((cluster) =>
      createPool({
        connectionString: cluster.superuserUrl('bench'),
        applicationName: 'homeport bench',
        max: 8,
      }),
    )
    const tables = publishedTables.map(
      ({ name, columns, filter }) =>
        `${name} (${columns.join(', ')})${filter === undefined ? '' : ` where (${filter})`}`,
    )
    await this.primary.query(`create publication ${publicationName} for table ${tables.join(', ')}`)
    await this.cloud.query(
      `create subscription ${subscriptionName} connection '${this.replicationUrl}' publication ${publicationName}
       with (copy_data = false, binary = true)`,
    )
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()))
    for (const cluster of [...this.#clusters].reverse()) await cluster.destroy()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** On both at once; seconds until the slower one is done. */
  async onBoth(sql: string): Promise<number> {
    const startedAt = performance.now()
    await Promise.all([this.primary.query(sql), this.cloud.query(sql)])
    return (performance.now() - startedAt) / 1000
  }

  /** Processor seconds of both servers so far, with all their sessions; Linux counts hundredths. */
  cpuSeconds(): number {
    const stats = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(readStat)
    const servers = this.#clusters.map((cluster) => cluster.pid)
    return stats.reduce((sum, stat) => {
      if (servers.includes(stat.pid)) return sum + stat.own + stat.ended
      return servers.includes(stat.parent) ? sum + stat.own : sum
    }, 0)
  }

  #pool(place: number): pg.Pool {
    const pool = this.#pools[place]
    if (pool === undefined) throw new Error('the servers are not open')
    return pool
  }

  /** The same rows wherever it runs. */
  async #fill(cluster: Cluster): Promise<void> {
    await cluster.start()
    const admin = new pg.Client({ connectionString: cluster.superuserUrl() })
    await admin.connect()
    // Checkpoints in the middle of one run and not of the other would be noise.
    await admin.query(`alter system set max_wal_size = '4GB'`)
    await admin.query('select pg_reload_conf()')
    await admin.query('create database bench template template0')
    await admin.end()
    await migrate(cluster.superuserUrl('bench'))
    const db = new pg.Client({ connectionString: cluster.superuserUrl('bench') })
    await db.connect()
    await prepareCorpus(db)
    await db.query(`update models set created_at = '2026-01-01', activated_at = '2026-01-01'`)
    await db.query('insert into lexicon select term, 1 from generate_series(1, 1000) term')
    // Vectors without their segments: what is measured is reading and hashing them.
    await db.query('set session_replication_role = replica')
    for (let from = 1; from <= this.rows; from += rowsAtOnce) {
      await db.query(
        `insert into embeddings (model_id, segment_id, visibility, embedding, change_seq)
         select $3::int, k, 'public', one.vector + two.vector, k from generate_series($1::bigint, $2::bigint) as k
         join bench_pieces one on one.n = (k * 29 + k / 7) % 1000 join bench_pieces two on two.n = (k * 43 + 1) % 1000`,
        [from, Math.min(this.rows, from + rowsAtOnce - 1), modelId],
      )
    }
    await db.query('vacuum analyze')
    await db.query('checkpoint')
    await db.end()
  }
}

/** Processor seconds of a process and of its children that have ended; zeros when it is gone. */
function readStat(name: string): { pid: number; parent: number; own: number; ended: number } {
  try {
    const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [own, ended] = [11, 13].map((at) => ((fields[at] ?? 0) + (fields[at + 1] ?? 0)) / 100)
    return { pid: Number(name), parent: fields[1] ?? 0, own: own ?? 0, ended: ended ?? 0 }
  } catch {
    // It ended between the listing and the look.
    return { pid: 0, parent: 0, own: 0, ended: 0 }
  }
}
