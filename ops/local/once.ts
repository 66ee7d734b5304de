import type { Output } from '../../core/cli.ts'
import type { CaptionsReport } from '../../ingest/commands/captions-run.ts'
import { askUntil, waitForFallback, type Asked } from './ask.ts'
import type { Counts, Stack } from './stack.ts'

export interface UpReport {
  /** of what is published */
  sources: number
  segments: number
  cloudSegments: number
  /** what never leaves home */
  private: { sources: number; segments: number }
  lagSeconds: number
  verify: 'match' | 'drift' | 'undetermined'
  failures: string[]
}

export interface ShownReport {
  search: Asked
  fallback: Asked
  /** whether answers came from Postgres again after the cloud was back, without a restart of the api */
  recovered: boolean
  failures: string[]
}

export interface OnceReport extends UpReport, ShownReport {
  ok: boolean
  data: string
  seconds: number
}

const fallbackWaitMs = 120_000
const failoverMs = 60_000
const recoveryMs = 60_000

/** Servers, replication, transcripts, proof. What did not hold is in `failures`; what stops everything is thrown. */
export async function bringUp(stack: Stack, out: Output): Promise<UpReport> {
  out.note('Starting two Postgres servers, the primary and the cloud')
  await stack.startServers()
  out.note('Setting up schema, roles and replication')
  await stack.connectServers()
  out.note(`Ingesting ${stack.corpus}`)
  const ingested = await stack.ingest()
  out.note(`${describeIngest(ingested)}; waiting for the cloud to have it`)
  const { lagSeconds } = await stack.follow()
  out.note('Verifying every published table, row by row')
  const tables = await stack.verify()
  const [home, cloud] = [await stack.counts('primary'), await stack.counts('cloud')]
  const verdicts = tables.map((table) => table.verdict)
  const verify = verdicts.includes('drift')
    ? 'drift'
    : verdicts.every((each) => each === 'match')
      ? 'match'
      : 'undetermined'
  return {
    sources: home.sources,
    segments: home.segments,
    cloudSegments: cloud.segments,
    private: { sources: home.privateSources, segments: home.privateSegments },
    lagSeconds: Number(lagSeconds.toFixed(3)),
    verify,
    failures: judgeUp({ home, cloud, verify, badFiles: ingested.failures.length }),
  }
}

/** Asks, takes the cloud database away, asks again, gives it back, and asks once more. */
export async function demonstrate(
  stack: Stack,
  options: { query: string; segments: number; out: Output; signal: AbortSignal },
): Promise<ShownReport> {
  const { out, query, signal } = options
  out.note('Starting the api')
  const { url: apiUrl } = await stack.startApi()
  out.note(`Asking: ${query}`)
  const search = await askUntil({ apiUrl, query, source: 'postgres', timeoutMs: failoverMs, signal })
  await waitForFallback(apiUrl, options.segments, fallbackWaitMs, signal)
  out.note('Stopping the cloud database, and asking again')
  await stack.cloud.stop()
  const fallback = await askUntil({ apiUrl, query, source: 'memory', timeoutMs: failoverMs, signal })
  out.note('Starting the cloud database again')
  await stack.cloud.start()
  const again = await askUntil({ apiUrl, query, source: 'postgres', timeoutMs: recoveryMs, signal })
  if (stack.mode !== 'native') out.note(`Waiting for the ${stack.mode} to push again`)
  const follows = await stack.followsAgain(recoveryMs)
  return {
    search,
    fallback,
    recovered: again.source === 'postgres',
    failures: [
      ...(search.hits === 0 ? ['the search found nothing'] : []),
      ...(fallback.hits === 0 ? ['the search in memory found nothing'] : []),
      ...(follows ? [] : ['the cloud does not follow again after it was away']),
    ],
  }
}

/** What an ingest run did, in a few words. */
export function describeIngest(report: Pick<CaptionsReport, 'sources' | 'segments' | 'failures'>): string {
  const { sources, segments, failures } = report
  const changes = [
    [sources.added, 'new'],
    [sources.changed, 'changed'],
    [sources.removed, 'removed'],
  ] as const
  const said = changes.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  const sourcesText = said.length === 0 ? 'Nothing new' : `${said.join(', ')} sources`
  return [
    sourcesText,
    ...(segments.added > 0 ? [`${segments.added} segments`] : []),
    ...(failures.length > 0 ? [`${failures.length} files could not be read`] : []),
  ].join(', ')
}

/** What did not hold, in words. Nothing means that all did. */
export function judgeUp(facts: {
  home: Counts
  cloud: Counts
  verify: UpReport['verify']
  badFiles: number
}): string[] {
  const { home, cloud, verify, badFiles } = facts
  return [
    ...(badFiles > 0 ? [`${badFiles} files could not be read`] : []),
    ...(home.segments === 0 ? ['nothing was ingested'] : []),
    ...(home.segments !== cloud.segments
      ? [`the cloud has ${cloud.segments} of ${home.segments} segments`]
      : []),
    ...(cloud.privateSources + cloud.privateSegments > 0 ? ['private rows are in the cloud'] : []),
    ...(verify === 'match' ? [] : [`verify: ${verify}`]),
  ]
}
