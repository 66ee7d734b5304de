import { spawn } from 'node:child_process'
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { connect } from '../../core/db.ts'
import { migrate } from '../../core/migrate.ts'
import type { CaptionsReport } from '../../ingest/commands/captions-run.ts'
import { Cluster } from '../../ops/local/cluster.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { findPostgres } from '../../ops/local/find-postgres.ts'
import { sharedData } from '../support/shared-data.ts'
import type { BenchOptions, BenchResult } from './run.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const applicationName = 'homeport bench'

/** Every table that an ingest fills, in the order of their references. */
const tables = [
  'sources',
  'segments',
  'segment_terms',
  'models',
  'model_terms',
  'embeddings',
  'lexicon',
  'collection',
  'ingested_files',
]

/**
 * The whole podcast corpus into a fresh database of a durable server of its own, by the real command; then
 * once more, with nothing to do; then the same rows by plain COPY into the same tables with the same indexes.
 */
export async function run({ note }: BenchOptions): Promise<BenchResult> {
  const data = sharedData()
  if (data === undefined) throw new Error('the real inputs are missing: there is nothing to measure')
  const { folder } = resolveDataFolder(join(repository, `data/bench-${process.pid}`))
  const cluster = new Cluster({ name: 'primary', folder: join(folder, 'primary'), postgres: findPostgres() })
  const files = mkdtempSync(join(tmpdir(), 'homeport-bench-'))
  try {
    await cluster.start()
    const [ingested, copied] = [
      await freshDatabase(cluster, 'ingested'),
      await freshDatabase(cluster, 'copied'),
    ]
    note('ingesting the corpus ...')
    const first = await ingest(ingested, join(data, 'changelog/podcast'))
    note('ingesting it again ...')
    const second = await ingest(ingested, join(data, 'changelog/podcast'))
    note('copying the same rows ...')
    await copyOut(ingested, files)
    const copySeconds = await copyIn(copied, files)
    return measure({ first, second, copySeconds })
  } finally {
    rmSync(files, { recursive: true, force: true })
    await cluster.destroy()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Measured {
  report: CaptionsReport
  /** From starting the command to its end, Node's own start included. */
  seconds: number
  rssPeakMb: number
}

function measure(runs: { first: Measured; second: Measured; copySeconds: number }): BenchResult {
  const { first, second, copySeconds } = runs
  const segments = first.report.segments.added
  const embedding = first.report.generation?.seconds ?? 0
  return {
    figures: {
      files: first.report.files,
      segments,
      segmentsPerSecond: segments / first.seconds,
      segmentsPerSecondWithoutEmbedding: segments / (first.seconds - embedding),
      firstRunSeconds: first.seconds,
      embeddingSeconds: embedding,
      secondRunSeconds: second.seconds,
      copySeconds,
      rssPeakMb: first.rssPeakMb,
    },
    ratios: { vsCopy: copySeconds / first.seconds, secondRun: second.seconds / first.seconds },
  }
}

async function freshDatabase(cluster: Cluster, name: string): Promise<string> {
  const db = await connect({ connectionString: cluster.superuserUrl(), applicationName })
  await db.query(`create database ${name} template template0`)
  await db.end()
  await migrate(cluster.superuserUrl(name))
  return cluster.superuserUrl(name)
}

async function ingest(url: string, folder: string): Promise<Measured> {
  const started = performance.now()
  const child = spawn(process.execPath, ['--import', 'tsx', 'ingest/cli.ts', 'captions', folder, '--json'], {
    cwd: repository,
    env: { ...process.env, LOCAL_DATABASE_URL: url, EMBEDDING_MODEL: 'lsa' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  // The high-water mark only grows, so the last reading before the end is the peak.
  let rssPeakMb = 0
  const watch = setInterval(() => (rssPeakMb = readPeakMb(child.pid) ?? rssPeakMb), 50)
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearInterval(watch)
  if (exitCode !== 0) throw new Error(`ingest ended with exit code ${exitCode}`)
  const seconds = (performance.now() - started) / 1000
  return { report: JSON.parse(output) as CaptionsReport, seconds, rssPeakMb }
}

/** VmHWM of a process, in MB; undefined once it is gone. */
function readPeakMb(pid: number | undefined): number | undefined {
  try {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))
    return found === null ? undefined : Number(found[1]) / 1024
  } catch {
    return undefined
  }
}

async function copyOut(url: string, folder: string): Promise<void> {
  const db = await connect({ connectionString: url, applicationName })
  for (const table of tables) {
    const rows = db.query(copyTo(`copy ${table} to stdout (format binary)`))
    await pipeline(rows, createWriteStream(join(folder, table)))
  }
  await db.end()
}

/** Seconds until the last table was committed. */
async function copyIn(url: string, folder: string): Promise<number> {
  const db = await connect({ connectionString: url, applicationName })
  const started = performance.now()
  for (const table of tables) {
    const rows = createReadStream(join(folder, table), { highWaterMark: 1 << 18 })
    await pipeline(rows, db.query(copyFrom(`copy ${table} from stdin (format binary)`)))
  }
  const seconds = (performance.now() - started) / 1000
  await db.end()
  return seconds
}
