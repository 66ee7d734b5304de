import { TcpProxy } from '../support/tcp-proxy.ts'
import type { BenchOptions, BenchResult } from './run.ts'
import { dimensions, measureLags, median, modelId, percentile, untilMarked } from './relay-corpus.ts'
import { RelayBench, run as runSql, type Drained } from './relay-servers.ts'

/** How much is written; `small` is for a look whether everything runs. */
const sizes = {
  full: { seed: 20_000, indexed: 6_000, apply: 240_000, rounds: 3, lagSeconds: 30, huge: 1_000_000 },
  small: { seed: 1_000, indexed: 480, apply: 4_800, rounds: 1, lagSeconds: 4, huge: 30_000 },
} as const

type Size = (typeof sizes)[keyof typeof sizes]

const createIndex = `create index embeddings_model_${modelId} on embeddings
  using hnsw ((embedding::halfvec(${dimensions})) halfvec_cosine_ops) where model_id = ${modelId}`

/**
 * The relay beside a native subscription, on the same two durable servers, the same rows, one after the
 * other: 384-dimension half-precision vectors with their segments, a source of 60 a transaction. Rows are
 * segments and embeddings. Native has its default options, and in further rounds binary transfer and streaming.
 *
 *   npm run bench -- relay                  everything
 *   npm run bench -- relay small            a look whether it runs
 *   npm run bench -- relay apply lag        some parts: indexed, apply, lag, lines, gateway, huge
 */
export async function run({ note, args = [] }: BenchOptions): Promise<BenchResult> {
  const size: Size = args.includes('small') ? sizes.small : sizes.full
  const chosen = args.filter((word) => word !== 'small')
  const wants = (part: string): boolean => chosen.length === 0 || chosen.includes(part)
  const bench = new RelayBench()
  const parts: BenchResult[] = []
  try {
    await bench.open()
    parts.push(await compareSeed(bench, chosen.length === 0 ? size : sizes.small, note))
    if (wants('indexed')) parts.push(await compareApply(bench, 'indexed', size.indexed, size.rounds, note))
    if (wants('indexed') && wants('lag')) parts.push(await followLags(bench, size, note, 'indexedLag'))
    for (const url of [bench.nativeUrl, bench.relayedUrl]) {
      await runSql(url, `drop index embeddings_model_${modelId}`)
    }
    if (wants('apply')) {
      parts.push(await compareApply(bench, 'bare', size.apply, size.rounds, note))
      parts.push(await compareApply(bench, 'tuned', size.apply, size.rounds, note))
    }
    await bench.dropNative()
    if (wants('lag')) parts.push(await followLags(bench, size, note, 'lag'))
    if (wants('lines')) parts.push(await compareLines(bench, size, note))
    if (wants('gateway')) parts.push(await throughGateway(bench, size, note))
    if (wants('huge')) parts.push(await hugeTransaction(bench, size, note))
  } finally {
    await bench.close()
  }
  return {
    figures: Object.assign({ dimensions }, ...parts.map((part) => part.figures)) as BenchResult['figures'],
    ratios: Object.assign({}, ...parts.map((part) => part.ratios)) as BenchResult['ratios'],
  }
}

type Note = BenchOptions['note']

/** The initial copy of the same rows: into a table with all indexes, as native does it, and as setup-replication does. */
async function compareSeed(bench: RelayBench, size: Size, note: Note): Promise<BenchResult> {
  const { rows } = await bench.writer.write(size.seed * 2)
  note(`initial copy of ${rows} rows by setup-replication ...`)
  const started = performance.now()
  const setup = bench.startOps(['setup-replication', '--mode', 'relay'])
  const { code } = await setup.exited
  if (code !== 0) throw new Error(`setup-replication ended with ${code}: ${setup.stderr}`)
  const relay = (performance.now() - started) / 1000
  note(`  ${relay.toFixed(1)} s; natively into an indexed table ...`)
  await runSql(bench.nativeUrl, createIndex)
  const native = await bench.subscribe()
  note(`  ${native.toFixed(1)} s`)
  await bench.stopNative()
  return {
    figures: { seedRows: rows, nativeSeedSeconds: native, relaySeedSeconds: relay },
    ratios: { seedVsNative: native / relay },
  }
}

/** What a subscription is compared in: bare as CREATE SUBSCRIPTION makes it, tuned (binary, streaming), tuned with the vector index. */
type Peer = 'bare' | 'tuned' | 'indexed'

const peers: Readonly<Record<Peer, { what: string; title: string }>> = {
  bare: { what: 'without vector index, beside a subscription without options', title: '' },
  tuned: { what: 'without vector index, beside a subscription with binary and streaming', title: 'Tuned' },
  indexed: { what: 'with the vector index', title: 'Indexed' },
}

/** Rows a second of the same backlog, in turns; the median of the rounds. */
async function compareApply(
  bench: RelayBench,
  peer: Peer,
  rows: number,
  rounds: number,
  note: Note,
): Promise<BenchResult> {
  const { what, title } = peers[peer]
  const native: number[] = []
  const relay: number[] = []
  await bench.setNative(peer !== 'bare')
  for (let round = 0; round < rounds; round += 1) {
    note(`applying about ${rows} rows ${what} ...`)
    const backlog = await bench.writer.write(rows)
    const [theirs, ours] = [await bench.drainNative(backlog.marker), await bench.drainRelay(backlog.marker)]
    native.push(backlog.rows / theirs.seconds)
    relay.push(backlog.rows / ours.seconds)
    note(`  native ${describe(backlog.rows, theirs)}\n  relay  ${describe(backlog.rows, ours)}`)
  }
  const ratio = peer === 'indexed' ? 'indexedApplyVsNative' : `applyVs${title}Native`
  return {
    figures: {
      [`native${title}RowsPerSecond`]: median(native),
      [`relay${title}RowsPerSecond`]: median(relay),
    },
    ratios: { [ratio]: median(relay) / median(native) },
  }
}

/** Rows a second, and who was busy for how much of the time: whoever is near 1 is the limit. */
function describe(rows: number, { seconds, cpu }: Drained): string {
  const shares = Object.entries(cpu).map(([who, used]) => `${who} ${(used / seconds).toFixed(2)}`)
  const [limit] = Object.entries(cpu).sort(([, a], [, b]) => b - a)
  return `${Math.round(rows / seconds)} rows/s (cores: ${shares.join(', ')}; the limit is ${limit?.[0] ?? 'unknown'})`
}

async function followLags(
  bench: RelayBench,
  size: Size,
  note: Note,
  name: 'lag' | 'indexedLag',
): Promise<BenchResult> {
  note(`lag at 500 rows/s ${name === 'lag' ? 'without' : 'with the'} vector index ...`)
  const relay = bench.startOps(['relay'])
  await relay.said(/connected to the cloud/)
  // The first batches find cold caches and prepare statements, as after any start.
  await untilMarked(bench.relayedUrl, (await bench.writer.write(600)).marker)
  const { primary, relayedUrl: cloudUrl, writer } = bench
  const lags = await measureLags({ primary, cloudUrl, writer, rowsPerSecond: 500, seconds: size.lagSeconds })
  await relay.terminate()
  const [p50, p99] = [percentile(lags, 0.5), percentile(lags, 0.99)]
  note(`  p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`)
  return { figures: { [`${name}P50Ms`]: p50, [`${name}P99Ms`]: p99 }, ratios: {} }
}

/** The same proxy on the way to the cloud, once at once and once with 100 ms of round trip. */
async function compareLines(bench: RelayBench, size: Size, note: Note): Promise<BenchResult> {
  const proxy = await openProxy(bench, bench.relayedUrl)
  const settings = { RELAY_DATABASE_URL: proxy.through(bench.settings['RELAY_DATABASE_URL'] ?? '') }
  const rates: number[] = []
  let bytesPerRow = 0
  for (const latencyMs of [0, 50]) {
    proxy.set({ latencyMs })
    const backlog = await bench.writer.write(size.apply)
    const before = proxy.toServer
    const drained = await bench.drainRelay(backlog.marker, settings)
    bytesPerRow = (proxy.toServer - before) / backlog.rows
    rates.push(backlog.rows / drained.seconds)
    note(
      `over ${latencyMs * 2} ms of round trip: ${describe(backlog.rows, drained)}, ${bytesPerRow.toFixed(0)} bytes a row`,
    )
  }
  const [loopback = NaN, wan = NaN] = rates
  return {
    figures: { loopbackRowsPerSecond: loopback, wanRowsPerSecond: wan, directBytesPerRow: bytesPerRow },
    ratios: { wanVsLoopback: wan / loopback },
  }
}

async function throughGateway(bench: RelayBench, size: Size, note: Note): Promise<BenchResult> {
  const gateway = bench.startOps(['gateway', '--json'], { GATEWAY_PORT: '0' })
  const [, url = ''] = await gateway.answered(/"url":"([^"]+)"/)
  const keys = bench.startOps(['keys', 'create', '--client', 'bench', '--json'])
  await keys.exited
  const { key } = JSON.parse(keys.stdout) as { key: string }
  const proxy = await openProxy(bench, url)
  const backlog = await bench.writer.write(size.apply)
  const drained = await bench.drainRelay(backlog.marker, {
    RELAY_DATABASE_URL: '',
    PRODUCTION_API_URL: `http://127.0.0.1:${proxy.port}`,
    PRODUCTION_API_KEY: key,
  })
  const bytesPerRow = proxy.toServer / backlog.rows
  note(`through the gateway: ${describe(backlog.rows, drained)}, ${bytesPerRow.toFixed(0)} bytes a row`)
  await gateway.terminate()
  const gatewayRowsPerSecond = backlog.rows / drained.seconds
  return { figures: { gatewayRowsPerSecond, gatewayBytesPerRow: bytesPerRow }, ratios: {} }
}

/** One transaction of a million segments: the relay's resident size while it reads, spills and applies it. */
async function hugeTransaction(bench: RelayBench, size: Size, note: Note): Promise<BenchResult> {
  note(`one transaction of ${size.huge} segments ...`)
  const relay = bench.startOps(['relay'])
  await relay.said(/connected to the cloud/)
  const source = bench.writer.nextSource
  const { primary } = bench
  await primary.query('begin')
  await primary.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
     values ($1, 'video', 'Huge', 'public', 'captions-manual', now())`,
    [source],
  )
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select 1000000000000 + k, $1, 'public', k, piece.text, '[]', 'captions'
     from generate_series(1, $2::int) as k join bench_pieces piece on piece.n = k % 1000`,
    [source, size.huge],
  )
  await primary.query('commit')
  const started = performance.now()
  await untilMarked(bench.relayedUrl, await bench.writer.mark())
  const seconds = (performance.now() - started) / 1000
  const { rssPeakMb } = relay
  await relay.terminate()
  note(`  ${Math.round(size.huge / seconds)} rows/s from its commit, at most ${rssPeakMb.toFixed(0)} MB`)
  return {
    figures: { hugeRows: size.huge, hugeRowsPerSecond: size.huge / seconds, rssPeakMb },
    ratios: {},
  }
}

async function openProxy(bench: RelayBench, url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url)
  const proxy = new TcpProxy({ host: hostname, port: Number(port) })
  await proxy.listen()
  bench.ends.push(() => proxy.close())
  return proxy
}
