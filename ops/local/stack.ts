import { join } from 'node:path'
import type { Output } from '../../core/cli.ts'
import { connect, createPool } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { createLog } from '../../core/log.ts'
import { migrate } from '../../core/migrate.ts'
import { loadSql } from '../../core/sql.ts'
import { runCaptions, type CaptionsReport } from '../../ingest/commands/captions-run.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import type { Finding } from '../../replication/finding.ts'
import { setupRelay } from '../../replication/relay/setup/setup-relay.ts'
import { setupReplication } from '../../replication/setup.ts'
import { ensureVectorIndex } from '../../replication/vector-index.ts'
import { verifyTables, type TableVerification } from '../../replication/verify/verify-tables.ts'
import { endLeftovers, type RunningChild } from './child-process.ts'
import { Cluster } from './cluster.ts'
import type { PostgresBinaries } from './find-postgres.ts'
import { Following, type ReplicationMode } from './following.ts'
import { startLocalApi } from './local-api.ts'
import { signalProcess } from './processes.ts'
import { stackUrls, type StackUrls } from './stack-urls.ts'

export interface StackOptions {
  /** Where everything lies, as resolveDataFolder returned it. */
  folder: string
  postgres: PostgresBinaries
  /** Transcripts to ingest. */
  corpus: string
  mode: ReplicationMode
  out: Output
  isTerminal: boolean
  signal: AbortSignal
}

export interface Counts {
  sources: number
  segments: number
  privateSources: number
  privateSegments: number
}

const cloudWaitMs = 30 * 60_000

/**
 * The whole product on this machine: two private clusters, replication between them, ingestion,
 * verification and the api. Each step can be run again; {@link stop} ends whatever was started.
 */
export class Stack {
  readonly primary: Cluster
  readonly cloud: Cluster
  readonly #options: StackOptions
  readonly #runFolder: string
  readonly #following: Following
  #api: RunningChild | undefined
  #isNew = false

  constructor(options: StackOptions) {
    this.#options = options
    this.#runFolder = join(options.folder, 'run')
    const cluster = (name: string): Cluster =>
      new Cluster({
        name,
        folder: join(options.folder, name),
        postgres: options.postgres,
        slotWalLimitMb: 4096,
      })
    this.#following = new Following({
      mode: options.mode,
      folder: options.folder,
      runFolder: this.#runFolder,
      signal: options.signal,
    })
    this.primary = cluster('primary')
    this.cloud = cluster('cloud')
  }

  get mode(): ReplicationMode {
    return this.#options.mode
  }

  get corpus(): string {
    return this.#options.corpus
  }

  get urls(): StackUrls {
    return stackUrls({ folder: this.#options.folder, primary: this.primary, cloud: this.cloud })
  }

  /** Ends what a killed run left behind, and starts both servers with an empty or the known database. */
  async startServers(): Promise<void> {
    for (const name of await endLeftovers(this.#runFolder))
      this.#options.out.note(`ended ${name}, left over from a run that was killed`)
    const outcomes = await Promise.allSettled(
      [this.primary, this.cloud].map((cluster) => startWithDatabase(cluster)),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason
      if (outcome.value.created) this.#isNew = true
    }
    this.#options.signal.throwIfAborted()
  }

  /** Schema on both sides, the cloud first; then roles, publication, and whatever moves the rows. */
  async connectServers(): Promise<void> {
    const { out, signal, mode } = this.#options
    const urls = this.urls
    await migrate(urls.cloud)
    await migrate(urls.primary)
    const warnings = new Set<string>()
    const setup = {
      primaryUrl: urls.primary,
      cloudUrl: urls.cloud,
      readerUrl: urls.reader,
      replicationUrl: urls.replication,
      signal,
      onWarning: (finding: Finding) => {
        // Both servers are the same program. What it is, is said when they are made, not at every start.
        if (this.#isNew || !finding.code.startsWith('PGVECTOR_')) warnings.add(finding.message)
      },
    }
    if (mode === 'native') await setupReplication(setup)
    else {
      await setupRelay({
        ...setup,
        relayUrl: urls.relay,
        ...(mode === 'gateway' ? { gatewayUrl: urls.gateway } : {}),
        way: { kind: 'direct', relayUrl: urls.relay },
        log: createLog({ name: 'start', level: 'warn' }),
      })
    }
    for (const warning of warnings) out.note(`note: ${warning}`)
    await this.#following.start(urls)
  }

  ingest(): Promise<CaptionsReport> {
    const { corpus, out, isTerminal, signal } = this.#options
    return runCaptions({
      paths: [corpus],
      connectionString: this.urls.primary,
      prune: true,
      // The corpus of this data folder is what the folder holds now, however much that is.
      yes: true,
      dryRun: false,
      signal,
      out,
      isTerminal,
    })
  }

  /** Waits until the cloud has all of it, and builds the vector index there. */
  async follow(): Promise<{ lagSeconds: number }> {
    return Promise.race([this.#follow(), this.followingEnded()])
  }

  /** Whether a heartbeat still arrives, as after the cloud was away. */
  async followsAgain(timeoutMs: number): Promise<boolean> {
    const { signal } = this.#options
    const arrived = this.#withPools((primary, cloud) => waitForCloud({ primary, cloud, timeoutMs, signal }))
    return Promise.race([arrived, this.followingEnded()]).then(
      () => true,
      (error: unknown) => {
        if (error instanceof HomeportError && error.code === 'CLOUD_BEHIND') return false
        throw error
      },
    )
  }

  async #follow(): Promise<{ lagSeconds: number }> {
    return this.#withPools(async (primary, cloud) => {
      await waitForCloud({
        primary,
        cloud,
        timeoutMs: cloudWaitMs,
        signal: this.#options.signal,
        onProgress: (waitedMs) =>
          this.#options.out.progress(`the cloud follows (${Math.round(waitedMs / 1000)} s)`),
      })
      await ensureVectorIndex({ cloud })
      // The lag of a cloud that has nothing left to do: the time one row travels.
      return waitForCloud({ primary, cloud, timeoutMs: cloudWaitMs, signal: this.#options.signal })
    })
  }

  /** Compares every published table exactly; the verdicts have travelled to the cloud when it returns. */
  async verify(): Promise<TableVerification[]> {
    return this.#withPools(async (primary, cloud) => {
      const tables = await verifyTables({ primary, cloud, signal: this.#options.signal })
      await waitForCloud({ primary, cloud, signal: this.#options.signal })
      return tables
    })
  }

  async counts(side: 'primary' | 'cloud'): Promise<Counts> {
    const [row] = await this.#rows<Record<string, number>>(side, 'local/counts')
    return {
      sources: row?.['sources'] ?? 0,
      segments: row?.['segments'] ?? 0,
      privateSources: row?.['private_sources'] ?? 0,
      privateSegments: row?.['private_segments'] ?? 0,
    }
  }

  /** A question that this collection can answer: the opening words of one of its segments. */
  async question(): Promise<string> {
    const [row] = await this.#rows<{ text: string }>('primary', 'local/some-text')
    if (row === undefined)
      throw new HomeportError('CORPUS_EMPTY', `nothing to search in ${this.#options.corpus}`, {
        hint: 'give --corpus a folder with transcripts: .vtt, .srt, .json3 or .md with **Name:** paragraphs',
      })
    return row.text.split(/\s+/).slice(0, 8).join(' ')
  }

  /** The api, in its own process, with the read-only role; returns when it answers. */
  async startApi(): Promise<{ url: string; exited: RunningChild['exited'] }> {
    const { folder, out, signal } = this.#options
    const { url, child } = await startLocalApi({
      folder,
      runFolder: this.#runFolder,
      readerUrl: this.urls.reader,
      signal,
      onNote: (text) => out.note(text),
      onChild: (started) => (this.#api = started),
    })
    return { url, exited: child.exited }
  }

  /** Rejects when what pushes to the cloud ends by itself. */
  followingEnded(): Promise<never> {
    return this.#following.ended()
  }

  /** Stops the api first, then what pushes, then the cloud, then the primary. Safe to call at any moment, more than once. */
  async stop(): Promise<void> {
    const failures: unknown[] = []
    for (const each of [this.#api, this.#following, this.cloud, this.primary]) {
      // One that does not stop must not keep the others running.
      await each?.stop().catch((error: unknown) => failures.push(error))
    }
    this.#api = undefined
    if (failures.length > 0) throw failures[0]
  }

  /** For a process that ends without time to stop in order: nothing stays, and the next start recovers. */
  abandon(): void {
    if (this.#api !== undefined && !this.#api.ended) signalProcess(this.#api.pid, 'SIGKILL')
    this.#following.abandon()
    this.cloud.abandon()
    this.primary.abandon()
  }

  async #rows<Row extends Record<string, unknown>>(
    side: 'primary' | 'cloud',
    statement: string,
  ): Promise<Row[]> {
    return this.#withPools(async (primary, cloud) => {
      const { rows } = await (side === 'primary' ? primary : cloud).query<Row>(loadSql(statement))
      return rows
    })
  }

  async #withPools<T>(
    work: (primary: ReturnType<typeof createPool>, cloud: ReturnType<typeof createPool>) => Promise<T>,
  ): Promise<T> {
    const open = (connectionString: string): ReturnType<typeof createPool> =>
      createPool({ connectionString, applicationName: 'homeport start' })
    const { urls } = this
    const [primary, cloud] = [open(urls.primary), open(urls.cloud)]
    try {
      return await work(primary, cloud)
    } finally {
      await Promise.all([primary.end(), cloud.end()])
    }
  }
}

async function startWithDatabase(cluster: Cluster): Promise<{ created: boolean }> {
  const { created } = await cluster.start()
  const client = await connect({
    connectionString: cluster.superuserUrl(),
    applicationName: 'homeport start',
  })
  try {
    const { rows } = await client.query(loadSql('local/has-database'))
    if (rows.length === 0) await client.query(loadSql('local/create-database'))
    return { created }
  } finally {
    await client.end()
  }
}
