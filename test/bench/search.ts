import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import type { HealthReport } from '../../api/health.ts'
import { createGenerationKeeper } from '../../api/search/generation.ts'
import { searchSessionSettings, searchStatement } from '../../api/search/hybrid.ts'
import { createPool } from '../../core/db.ts'
import { createLog } from '../../core/log.ts'
import { migrate } from '../../core/migrate.ts'
import { Cluster } from '../../ops/local/cluster.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { findPostgres } from '../../ops/local/find-postgres.ts'
import { client, until } from '../support/api.ts'
import { queryRows } from '../support/databases.ts'
import type { BenchOptions, BenchResult } from './run.ts'
import { benchQueries, fillCorpus } from './search-corpus.ts'

const segments = 50_000
const clients = 8
const seconds = 12
/** Questions over HTTP, and how many of them pgbench asks too. */
const questions = 480
const scripts = 48

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * `/search` over HTTP against 50,000 segments, nothing cached; beside it the same statements with the same
 * parameters through pgbench on the same server, and the same questions answered from memory.
 */
export async function run({ note }: BenchOptions): Promise<BenchResult> {
  const { folder } = resolveDataFolder(join(root, 'data/bench/search'))
  const postgres = findPostgres()
  const cluster = new Cluster({ name: 'bench', folder: join(folder, 'cluster'), postgres, durable: false })
  const scratch = mkdtempSync(join(tmpdir(), 'homeport-bench-'))
  const ends: (() => Promise<unknown>)[] = [
    async () => {
      await cluster.destroy()
      rmSync(scratch, { recursive: true, force: true })
    },
  ]
  try {
    await cluster.destroy()
    await cluster.start()
    await queryRows(cluster.superuserUrl(), 'create database bench')
    const url = cluster.superuserUrl('bench')
    await migrate(url)
    note(`filling ${segments} segments`)
    await fillCorpus(url, segments)

    const api = startApi(url, scratch)
    ends.unshift(async () => {
      api.child.kill('SIGTERM')
      await once(api.child, 'exit')
    })
    const address = await api.url
    await until(
      () => client(address).get<HealthReport>('/health'),
      ({ body }) => body.fallback.ready && body.source === 'postgres',
      300_000,
    )
    const asked = benchQueries(questions)
    await fire(address, asked, clients, 3)
    note('one client over HTTP')
    const alone = await fire(address, asked, 1, seconds / 2)
    note(`${clients} clients over HTTP`)
    const http = await fire(address, asked, clients, seconds)
    note(`${clients} clients through pgbench`)
    const pgbench = await runPgbench(url, asked.slice(0, scripts), postgres.binDir, scratch)
    note('from memory')
    await cluster.stop()
    await until(
      () => client(address).search({ q: asked[0] ?? '' }),
      ({ body }) => body.source === 'memory',
    )
    const memory = await fire(address, asked, clients, seconds / 2)
    return {
      figures: {
        segments,
        clients,
        requestsPerSecond: http.requestsPerSecond,
        p50Ms: http.p50Ms,
        p99Ms: http.p99Ms,
        aloneP50Ms: alone.p50Ms,
        aloneP99Ms: alone.p99Ms,
        pgbenchPerSecond: pgbench,
        memoryRequestsPerSecond: memory.requestsPerSecond,
        memoryP50Ms: memory.p50Ms,
        memoryP99Ms: memory.p99Ms,
      },
      ratios: {
        vsPgbench: http.requestsPerSecond / pgbench,
        memoryVsPostgres: memory.requestsPerSecond / http.requestsPerSecond,
      },
    }
  } finally {
    for (const end of ends) await end()
  }
}

function startApi(databaseUrl: string, scratch: string): { child: ChildProcess; url: Promise<string> } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'api/server.ts'], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      DATABASE_URL: databaseUrl,
      ALLOW_WRITABLE_ROLE: 'true',
      RATE_LIMIT_PER_MINUTE: '10000000',
      SNAPSHOT_PATH: join(scratch, 'snapshot'),
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = once(child.stdout, 'data').then(([data]) => String(data).trim())
  return { child, url }
}

interface Fired {
  requestsPerSecond: number
  p50Ms: number
  p99Ms: number
}

async function fire(
  url: string,
  asked: readonly string[],
  connections: number,
  duration: number,
): Promise<Fired> {
  const result = await autocannon({
    url,
    connections,
    duration,
    requests: asked.map((q) => ({ path: `/search?q=${encodeURIComponent(q)}` })),
  })
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${result.non2xx} requests were refused, ${result.errors} failed`)
  }
  return {
    requestsPerSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  }
}

/** Transactions a second of the api's own statements, each question a script with its own parameters. */
async function runPgbench(
  databaseUrl: string,
  asked: readonly string[],
  bin: string,
  scratch: string,
): Promise<number> {
  const pool = createPool({ connectionString: databaseUrl, applicationName: 'bench' })
  const generations = createGenerationKeeper({
    pool,
    openSentenceModel: () => Promise.reject(new Error('not needed')),
    log: createLog({ name: 'bench', level: 'error' }),
  })
  await generations.refresh()
  const generation = generations.current()
  if (generation === undefined) throw new Error('the generation is not loaded')
  const parameters: string[] = []
  const files: string[] = []
  for (const [at, query] of asked.entries()) {
    const { text, values } = await searchStatement({ query, limit: 10, offset: 0 }, generation)
    const file = join(scratch, `search-${at}.sql`)
    const named = text.replace(/^\s*--.*$/gm, '').replace(/\$(\d+)/g, `:p$1_${at}`)
    writeFileSync(file, `${named};\n`)
    files.push('-f', file)
    values.forEach((value, index) => parameters.push('-D', `p${index + 1}_${at}=${parameterText(value)}`))
  }
  await generations.close()
  await pool.end()
  const options = Object.entries(searchSessionSettings).map(([name, value]) => `-c ${name}=${value}`)
  const common = ['-n', '-M', 'prepared', '-c', String(clients), '-j', '2']
  const child = spawn(
    join(bin, 'pgbench'),
    [...common, '-T', String(seconds), ...files, ...parameters, databaseUrl],
    { env: { PATH: process.env['PATH'], PGOPTIONS: options.join(' ') }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr.on('data', (data: Buffer) => (output += data.toString()))
  await once(child, 'close')
  const tps = /^tps = ([\d.]+)/m.exec(output)?.[1]
  if (tps === undefined || child.exitCode !== 0) throw new Error(`pgbench failed: ${output.slice(-2_000)}`)
  return Number(tps)
}

function parameterText(value: unknown): string {
  return Array.isArray(value) ? `{${value.join(',')}}` : String(value)
}
