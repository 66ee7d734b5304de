import { fork } from 'node:child_process'
import { once } from 'node:events'
import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { publishedTables } from '../../core/published-tables.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { readTableFacts } from '../../replication/table-facts.ts'
import { IncrementalVerifier } from '../../replication/verify/incremental.ts'
import type { Pace } from '../../replication/verify/pace.ts'
import { buildHashSql } from '../../replication/verify/row-hash.ts'
import { verifyExact } from '../../replication/verify/verify-exact.ts'
import { median, percentile } from './relay-corpus.ts'
import type { BenchOptions, BenchResult } from './run.ts'
import { VerifyBench } from './verify-servers.ts'

type Note = BenchOptions['note']

const tables = publishedTables.filter(({ name }) => name === 'embeddings')
const rounds = 3
const neededBytes = 20 * 2 ** 30

/**
 * Exact verification of one large table of vectors, on two durable servers of this machine, beside what it is measured by:
 * a plain read of the same columns, and the comparison that one would write by hand.
 *
 *   npm run bench -- verify                  a million rows, or 300,000 where the disk is small
 *   npm run bench -- verify --rows 50000     a look whether it runs
 */
export async function run({ note, args = [] }: BenchOptions): Promise<BenchResult> {
  const bench = new VerifyBench(chooseRows(args))
  try {
    await bench.open(note)
    const full = await compareFull(bench, note)
    const parts = [
      full.result,
      await compareDrill(bench, full.seconds, note),
      await compareIncremental(bench, note),
      await compareWriters(bench, note),
    ]
    return {
      figures: Object.assign(
        { rows: bench.rows },
        ...parts.map((part) => part.figures),
      ) as BenchResult['figures'],
      ratios: Object.assign({}, ...parts.map((part) => part.ratios)) as BenchResult['ratios'],
    }
  } finally {
    await bench.close()
  }
}

function chooseRows(args: readonly string[]): number {
  const place = args.indexOf('--rows')
  if (place >= 0) return Number(args[place + 1])
  const { bavail, bsize } = statfsSync(tmpdir())
  return bavail * bsize > neededBytes ? 1_000_000 : 300_000
}

async function verifySeconds(bench: VerifyBench, pace: Pace, expected: 'match' | 'drift'): Promise<number> {
  const { primary, cloud, replicationUrl } = bench
  const startedAt = performance.now()
  const [result] = await verifyExact({ primary, cloud, replicationUrl, tables, pace, record: false })
  if (result?.verdict !== expected) throw new Error(`${result?.verdict} instead of ${expected}`)
  return (performance.now() - startedAt) / 1000
}

/**
 * Read, naive way and verification at full pace in turns, each on both servers at once; ratios are of the same round. On a machine that
 * does other work too, processor time says more than the clock.
 */
async function compareFull(
  bench: VerifyBench,
  note: Note,
): Promise<{ result: BenchResult; seconds: number }> {
  const table = tables[0]
  const facts =
    table === undefined ? undefined : (await readTableFacts(bench.primary, tables)).get(table.name)
  if (table === undefined || facts === undefined) throw new Error('there are no embeddings')
  const { values } = buildHashSql(table, facts, true)
  const lengths = table.columns.map((_, place) => `octet_length(s.c${place})`).join(' + ')
  // Every column in its wire form, one after the other as they lie on disk; jit and workers as in a verification.
  const read = `begin; set local jit = off; set local max_parallel_workers_per_gather = 0;
    select sum(${lengths}) from (select ${values.sql} from embeddings t offset 0) s; commit`
  const naive = `select md5(string_agg(md5(t::text), '' order by segment_id)) from embeddings t`
  await bench.onBoth(read)
  const reads: number[] = []
  const naives: number[] = []
  const verifies: number[] = []
  const gentles: number[] = []
  const cpu = { read: [] as number[], verify: [] as number[], naive: [] as number[] }
  const timed = async (seconds: () => Promise<number>, of?: number[]): Promise<number> => {
    const before = bench.cpuSeconds()
    const rate = bench.rows / (await seconds())
    of?.push((1e6 * (bench.cpuSeconds() - before)) / bench.rows / 2)
    return rate
  }
  for (let round = 0; round < rounds; round += 1) {
    reads.push(await timed(() => bench.onBoth(read), cpu.read))
    verifies.push(await timed(() => verifySeconds(bench, 'full', 'match'), cpu.verify))
    gentles.push(await timed(() => verifySeconds(bench, 'default', 'match')))
    naives.push(await timed(() => bench.onBoth(naive), cpu.naive))
    const [a, b, c, d] = [reads, verifies, gentles, naives].map((values) => Math.round(values.at(-1) ?? NaN))
    note(`rows/s on each side: plain read ${a}, verify ${b} (at its default pace ${c}), naive ${d}`)
  }
  const ratios = (others: readonly number[]): number =>
    median(verifies.map((rate, round) => rate / (others[round] ?? NaN)))
  return {
    // What the following runs, at the default pace, are compared with.
    seconds: bench.rows / median(gentles),
    result: {
      figures: {
        readRowsPerSecond: median(reads),
        verifyRowsPerSecond: median(verifies),
        verifyDefaultPaceRowsPerSecond: median(gentles),
        naiveRowsPerSecond: median(naives),
        readCpuUsPerRow: median(cpu.read),
        verifyCpuUsPerRow: median(cpu.verify),
        naiveCpuUsPerRow: median(cpu.naive),
      },
      ratios: {
        vsRead: ratios(reads),
        vsNaive: ratios(naives),
        vsReadCpu: median(cpu.read) / median(cpu.verify),
        vsNaiveCpu: median(cpu.naive) / median(cpu.verify),
      },
    },
  }
}

/** Ten rows anywhere that are not what they should be: found, named, and proven. */
async function compareDrill(bench: VerifyBench, seconds: number, note: Note): Promise<BenchResult> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const ids = Array.from({ length: 10 }, (_, place) => 1 + Math.floor(((place + 0.37) * bench.rows) / 10))
    const shift = async (by: number): Promise<void> => {
      await bench.cloud.query(
        'update embeddings set change_seq = change_seq + $2 where segment_id = any ($1)',
        [ids, by],
      )
    }
    await shift(1)
    times.push(await verifySeconds(bench, 'default', 'drift'))
    await shift(-1)
  }
  note(`ten wrong rows found in ${median(times).toFixed(1)} s`)
  return { figures: { drillSeconds: median(times) }, ratios: { drillVsFull: median(times) / seconds } }
}

/** After a thousand changes that lie anywhere. */
async function compareIncremental(bench: VerifyBench, note: Note): Promise<BenchResult> {
  const { primary, cloud, replicationUrl } = bench
  const verifier = new IncrementalVerifier({ primary, cloud, replicationUrl, tables, record: false })
  const time = async (full: boolean): Promise<number> => {
    const startedAt = performance.now()
    const [result] = await verifier.verify({ full })
    if (result?.verdict !== 'match' || result.isFull !== full) {
      throw new Error(`${result?.verdict}, full: ${result?.isFull}`)
    }
    return (performance.now() - startedAt) / 1000
  }
  const ratios: number[] = []
  const seconds: number[] = []
  try {
    for (let round = 0; round < rounds; round += 1) {
      const full = await time(true)
      await primary.query(
        `update embeddings set change_seq = change_seq + 1
         where segment_id in (select 1 + floor(random() * $1)::bigint from generate_series(1, 1000))`,
        [bench.rows],
      )
      await waitForCloud({ primary, cloud })
      seconds.push(await time(false))
      ratios.push((seconds.at(-1) ?? NaN) / full)
      note(`in full ${full.toFixed(1)} s, after 1,000 changes ${seconds.at(-1)?.toFixed(2)} s`)
    }
  } finally {
    await verifier.close()
  }
  return {
    figures: { incrementalSeconds: median(seconds) },
    ratios: { incrementalVsFull: median(ratios) },
  }
}

const writerFile = fileURLToPath(new URL('verify-writer.ts', import.meta.url))
const writesPerSecond = 200
const writerSeconds = 15

/** Small updates at a steady pace, with and without a verification at its default pace beside them. */
async function compareWriters(bench: VerifyBench, note: Note): Promise<BenchResult> {
  const alone = new Latencies()
  const beside = new Latencies()
  await writeSteadily(bench, 3)
  for (let round = 0; round < rounds; round += 1) {
    alone.add(await writeSteadily(bench, writerSeconds))
    const stop = new AbortController()
    const verifying = verifyUntil(bench, stop.signal)
    beside.add(await writeSteadily(bench, writerSeconds))
    stop.abort()
    await verifying
    note(`writer ${alone.describe()} alone, ${beside.describe()} beside verification`)
  }
  return {
    figures: {
      writerAloneP50Ms: median(alone.p50),
      writerAloneP99Ms: median(alone.p99),
      writerBesideP50Ms: median(beside.p50),
      writerBesideP99Ms: median(beside.p99),
    },
    ratios: {
      writerP50: median(beside.p50) / median(alone.p50),
      writerP99: median(beside.p99) / median(alone.p99),
    },
  }
}

/** Percentiles of several runs, in milliseconds. */
class Latencies {
  readonly p50: number[] = []
  readonly p99: number[] = []

  add(times: readonly number[]): void {
    this.p50.push(percentile(times, 0.5))
    this.p99.push(percentile(times, 0.99))
  }

  describe(): string {
    return `p50 ${this.p50.at(-1)?.toFixed(1)} ms, p99 ${this.p99.at(-1)?.toFixed(1)} ms`
  }
}

async function verifyUntil(bench: VerifyBench, signal: AbortSignal): Promise<void> {
  const { primary, cloud, replicationUrl } = bench
  while (!signal.aborted) {
    await verifyExact({ primary, cloud, replicationUrl, tables, record: false, signal }).catch(
      (error: unknown) => {
        if (!signal.aborted) throw error
      },
    )
  }
}

/** In a process of its own, as an ingest is: it does not wait for what this one does. Milliseconds each update took. */
async function writeSteadily(bench: VerifyBench, seconds: number): Promise<number[]> {
  const writer = fork(writerFile, [
    bench.replicationUrl,
    String(seconds * writesPerSecond),
    String(writesPerSecond),
  ])
  const ended = once(writer, 'exit')
  const [times] = (await Promise.race([once(writer, 'message'), ended.then(() => [])])) as [number[]?]
  await ended
  if (times === undefined) throw new Error('the writer failed')
  return times
}
