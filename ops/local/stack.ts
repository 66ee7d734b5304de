import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Output } from '../../core/cli.ts'
import { connect, createPool } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { migrate } from '../../core/migrate.ts'
import { loadSql } from '../../core/sql.ts'
import { runCaptions, type CaptionsReport } from '../../ingest/commands/captions-run.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { setupReplication } from '../../replication/setup.ts'
import { ensureVectorIndex } from '../../replication/vector-index.ts'
import { verifyTables, type TableVerification } from '../../replication/verify/verify-tables.ts'
import { endLeftovers, startChild, type RunningChild } from './child-process.ts'
import { Cluster } from './cluster.ts'
import { loadCredentials } from './credentials.ts'
import type { PostgresBinaries } from './find-postgres.ts'
import { choosePort } from './ports.ts'

export interface StackOptions {
  /** Where everything lies, as resolveDataFolder returned it. */
  folder: string
  postgres: PostgresBinaries
  /** Transcripts to ingest. */
  corpus: string
  out: Output
  isTerminal: boolean
  signal: AbortSignal
}

export interface StackUrls {
  /** the primary's owner */
  primary: string
  /** the cloud's owner */
  cloud: string
  /** the cloud's read-only role */
  reader: string
  /** the primary's replication role */
  replication: string
}

export interface Counts {
  sources: number
  segments: number
  privateSources: number
  privateSegments: number
}

const cloudWaitMs = 30 * 60_000
const apiReadyMs = 120_000

/**
 * The whole product on this machine: two private clusters, replication between them, ingestion,
 * verification and the api. Each step can be run again; {@link stop} ends whatever was started.
 */
export class Stack {
  readonly primary: Cluster
  readonly cloud: Cluster
  readonly #options: StackOptions
  readonly #runFolder: string
  #api: RunningChild | undefined

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
    this.primary = cluster('primary')
    this.cloud = cluster('cloud')
  }

  get urls(): StackUrls {
    const { readerPassword, replicationPassword } = loadCredentials(this.#options.folder)
    const role = (cluster: Cluster, name: string, password: string): string =>
      `postgres://${name}:${password}@${cluster.host}:${cluster.port}/homeport`
    return {
      primary: this.primary.superuserUrl('homeport'),
      cloud: this.cloud.superuserUrl('homeport'),
      reader: role(this.cloud, 'homeport_api', readerPassword),
      replication: role(this.primary, 'homeport_replication', replicationPassword),
    }
  }

  /** Ends what a killed run left behind, and starts both servers with an empty or the known database. */
  async startServers(): Promise<void> {
    for (const name of await endLeftovers(this.#runFolder))
      this.#options.out.note(`ended ${name}, left over from a run that was killed`)
    const outcomes = await Promise.allSettled(
      [this.primary, this.cloud].map((cluster) => startWithDatabase(cluster)),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Schema on both sides, the cloud first; then roles, publication and subscription. */
  async connectServers(): Promise<void> {
    const { out, signal } = this.#options
    const { primary, cloud, reader, replication } = this.urls
    await migrate(cloud)
    await migrate(primary)
    await setupReplication({
      primaryUrl: primary,
      cloudUrl: cloud,
      readerUrl: reader,
      replicationUrl: replication,
      signal,
      onWarning: (finding) => out.note(`  ! ${finding.side}: ${finding.message}`),
    })
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

  /** The api as in production: its own process, the read-only role, nothing else in its environment. */
  async startApi(): Promise<{ url: string; exited: RunningChild['exited'] }> {
    const port = await choosePort(8080)
    const log: string[] = []
    const file = createWriteStream(join(this.#options.folder, 'api.log'), { flags: 'w', mode: 0o600 })
    const keep = (line: string): void => {
      file.write(`${line}\n`)
      log.push(line)
      if (log.length > 20) log.shift()
    }
    const {
      PATH,
      HOME,
      LOG_LEVEL,
      EMBEDDING_MODEL,
      EMBEDDING_POOLING,
      EMBEDDING_QUERY_PREFIX,
      EMBEDDING_PASSAGE_PREFIX,
    } = process.env
    const api = await startChild({
      name: 'api',
      script: fileURLToPath(new URL('../../api/server.ts', import.meta.url)),
      runFolder: this.#runFolder,
      environment: {
        PATH,
        HOME,
        EMBEDDING_MODEL,
        EMBEDDING_POOLING,
        EMBEDDING_QUERY_PREFIX,
        EMBEDDING_PASSAGE_PREFIX,
        LOG_LEVEL: LOG_LEVEL ?? 'warn',
        DATABASE_URL: this.urls.reader,
        API_ONLY_MODE: 'true',
        PORT: String(port),
        HOST: '127.0.0.1',
        SNAPSHOT_PATH: join(this.#options.folder, 'snapshot'),
        FALLBACK_REFRESH_SECONDS: '2',
      },
      onStdoutLine: keep,
      onStderrLine: keep,
    })
    this.#api = api
    const url = `http://127.0.0.1:${port}`
    await waitUntilReady(url, api, log, this.#options.signal)
    return { url, exited: api.exited }
  }

  /** Stops the api first, then the cloud, then the primary. Safe to call at any moment, more than once. */
  async stop(): Promise<void> {
    await this.#api?.stop()
    this.#api = undefined
    await this.cloud.stop()
    await this.primary.stop()
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
    const { primary, cloud } = this.urls
    const pools = [primary, cloud].map((connectionString) =>
      createPool({ connectionString, applicationName: 'homeport start' }),
    )
    try {
      const [home, away] = pools
      if (home === undefined || away === undefined)
        throw new HomeportError('UNEXPECTED', 'two pools are needed')
      return await work(home, away)
    } finally {
      await Promise.all(pools.map((pool) => pool.end()))
    }
  }
}

async function startWithDatabase(cluster: Cluster): Promise<void> {
  await cluster.start()
  const client = await connect({
    connectionString: cluster.superuserUrl(),
    applicationName: 'homeport start',
  })
  try {
    const { rows } = await client.query(loadSql('local/has-database'))
    if (rows.length === 0) await client.query(loadSql('local/create-database'))
  } finally {
    await client.end()
  }
}

/** Ready: either the database or the index in memory answers. */
async function waitUntilReady(
  url: string,
  api: RunningChild,
  log: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  let ended = false
  void api.exited.then(() => (ended = true))
  const end = Date.now() + apiReadyMs
  while (Date.now() < end) {
    signal.throwIfAborted()
    if (ended) throw new HomeportError('API_START', `the api ended at once:\n${log.join('\n')}`)
    const answer = await fetch(new URL('/ready', url), { signal }).catch(() => undefined)
    if (answer?.ok === true) return
    await sleep(50)
  }
  throw new HomeportError(
    'API_START',
    `the api is not ready after ${apiReadyMs / 1000} s:\n${log.join('\n')}`,
  )
}
