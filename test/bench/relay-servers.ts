import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { migrate } from '../../core/migrate.ts'
import { Cluster } from '../../ops/local/cluster.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { findPostgres } from '../../ops/local/find-postgres.ts'
import { OpsProcess } from '../support/ops-process.ts'
import { BacklogWriter, prepareCorpus, untilMarked } from './relay-corpus.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const subscription = 'bench_native'

/** Two durable servers: a primary, and a cloud with one database that subscribes and one that a relay writes to. */
export class RelayBench {
  readonly folder: string
  readonly primaryCluster: Cluster
  readonly cloudCluster: Cluster
  readonly ends: (() => unknown)[] = []
  writer!: BacklogWriter
  primary!: pg.Client

  constructor() {
    this.folder = resolveDataFolder(join(repository, `data/bench-${process.pid}`)).folder
    const cluster = (name: string) =>
      new Cluster({ name, folder: join(this.folder, name), postgres: findPostgres() })
    this.primaryCluster = cluster('primary')
    this.cloudCluster = cluster('cloud')
  }

  get primaryUrl(): string {
    return this.primaryCluster.superuserUrl('bench')
  }

  get nativeUrl(): string {
    return this.cloudCluster.superuserUrl('native')
  }

  get relayedUrl(): string {
    return this.cloudCluster.superuserUrl('relayed')
  }

  /** What `ops` needs for the relayed database. */
  get settings(): Record<string, string> {
    const as = (url: string, role: string): string => {
      const changed = new URL(url)
      changed.username = role
      changed.password = 'bench'
      return changed.href
    }
    return {
      LOCAL_DATABASE_URL: this.primaryUrl,
      PRODUCTION_DATABASE_URL: this.relayedUrl,
      DATABASE_URL: as(this.relayedUrl, 'bench_reader'),
      REPLICATION_DATABASE_URL: as(this.primaryUrl, 'bench_replicator'),
      RELAY_DATABASE_URL: as(this.relayedUrl, 'bench_relay'),
      GATEWAY_DATABASE_URL: as(this.relayedUrl, 'bench_gateway'),
      RELAY_STATE_PATH: join(this.folder, 'relay'),
      RELAY_PORT: '0',
      LOG_LEVEL: 'info',
    }
  }

  async open(): Promise<void> {
    for (const [cluster, names] of [
      [this.primaryCluster, ['bench']],
      [this.cloudCluster, ['native', 'relayed']],
    ] as const) {
      await cluster.start()
      // Checkpoints in the middle of one run and not of the other would be noise.
      await run(cluster.superuserUrl(), `alter system set max_wal_size = '8GB'`, 'select pg_reload_conf()')
      for (const name of names) {
        await run(cluster.superuserUrl(), `create database ${name} template template0`)
        await migrate(cluster.superuserUrl(name))
      }
    }
    this.primary = new pg.Client({ connectionString: this.primaryUrl })
    await this.primary.connect()
    await prepareCorpus(this.primary)
    this.writer = new BacklogWriter(this.primary)
  }

  async close(): Promise<void> {
    for (const end of this.ends.reverse()) await end()
    await this.primary?.end().catch(() => undefined)
    await this.cloudCluster.destroy()
    await this.primaryCluster.destroy()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A native subscription, its initial copy into tables that have all indexes; seconds until every table is ready. */
  async subscribe(): Promise<number> {
    const started = performance.now()
    await run(
      this.nativeUrl,
      `create subscription ${subscription} connection '${this.primaryUrl}' publication homeport with (binary = true, streaming = on)`,
    )
    for (;;) {
      const pending = await run(this.nativeUrl, `select from pg_subscription_rel where srsubstate <> 'r'`)
      if (pending.rowCount === 0) return (performance.now() - started) / 1000
      await new Promise((go) => setTimeout(go, 50))
    }
  }

  /** `tuned` as our own native mode sets it up; else as CREATE SUBSCRIPTION does without options, with values as text. */
  async setNative(isTuned: boolean): Promise<void> {
    const [binary, streaming] = isTuned ? ['true', 'on'] : ['false', 'off']
    await run(
      this.nativeUrl,
      `alter subscription ${subscription} set (binary = ${binary}, streaming = ${streaming})`,
    )
  }

  async stopNative(): Promise<void> {
    await run(this.nativeUrl, `alter subscription ${subscription} disable`)
    await this.#untilIdle(subscription)
  }

  /** Its slot would keep the log of all that follows. */
  async dropNative(): Promise<void> {
    await run(this.nativeUrl, `drop subscription ${subscription}`)
  }

  /** Seconds from enabling the subscription to the marker in its database. */
  async drainNative(marker: string): Promise<Drained> {
    const started = performance.now()
    await run(this.nativeUrl, `alter subscription ${subscription} enable`)
    await untilMarked(this.nativeUrl, marker)
    const seconds = (performance.now() - started) / 1000
    const cpu = await this.#cpuSeconds(this.nativeUrl)
    await this.stopNative()
    return { seconds, cpu }
  }

  /** Starts `ops relay`, or another command; ended with the bench. */
  startOps(args: readonly string[], settings: Record<string, string> = {}): OpsProcess {
    const started = new OpsProcess({ args, settings: { ...this.settings, ...settings } })
    this.ends.push(() => started.kill())
    return started
  }

  /** Seconds from the relay's connection to the marker in its database; the relay is ended afterwards. */
  async drainRelay(marker: string, settings: Record<string, string> = {}): Promise<Drained> {
    const relay = this.startOps(['relay'], settings)
    await relay.said(/connected to the cloud/)
    const started = performance.now()
    // What it took to start is not the work.
    const before = cpuOf(relay.pid)
    await untilMarked(this.relayedUrl, marker)
    const seconds = (performance.now() - started) / 1000
    const { walsender = 0, apply = 0 } = await this.#cpuSeconds(this.relayedUrl)
    const cpu = { walsender, apply, relay: cpuOf(relay.pid) - before }
    const { code } = await relay.terminate()
    if (code !== 0) throw new Error(`the relay ended with ${code}: ${relay.stderr.slice(-2_000)}`)
    return { seconds, cpu }
  }

  /** What the servers' processes of a run have used since they began. */
  async #cpuSeconds(cloudUrl: string): Promise<Drained['cpu']> {
    const senders = await run<{ pid: number }>(this.primaryUrl, 'select pid from pg_stat_replication')
    const appliers = await run<{ pid: number }>(
      cloudUrl,
      `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and (backend_type = 'logical replication worker' or usename in ('bench_relay', 'bench_gateway'))`,
    )
    const sum = (rows: { pid: number }[]) => rows.reduce((total, { pid }) => total + cpuOf(pid), 0)
    return { walsender: sum(senders.rows), apply: sum(appliers.rows) }
  }

  async #untilIdle(slot: string): Promise<void> {
    for (;;) {
      const active = await run(
        this.primaryUrl,
        `select from pg_replication_slots where slot_name = '${slot}' and active`,
      )
      if (active.rowCount === 0) return
      await new Promise((go) => setTimeout(go, 50))
    }
  }
}

export interface Drained {
  seconds: number
  /** processor seconds, by who used them */
  cpu: Readonly<Record<string, number>>
}

/** Runs statements one by one; the result of the last. */
export async function run<Row extends pg.QueryResultRow>(
  connectionString: string,
  ...statements: readonly string[]
): Promise<pg.QueryResult<Row>> {
  const db = new pg.Client({ connectionString })
  await db.connect()
  try {
    let result: pg.QueryResult<Row> | undefined
    for (const statement of statements) result = await db.query<Row>(statement)
    if (result === undefined) throw new Error('nothing to run')
    return result
  } finally {
    await db.end()
  }
}

/** User and system time of a process so far, in seconds; Linux counts hundredths. */
export function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return 0
  }
}
