import { defineCommand, type Invocation } from '../../core/cli.ts'
import type { ExitCode } from '../../core/errors.ts'
import { describeModel, readGenerations, type GenerationReport } from '../generation/refresh.ts'
import { readPause, type IngestPause } from '../store/pause.ts'
import { openPrimary } from '../store/primary.ts'
import { assertIngestAllowed, primaryUrl } from './allowed.ts'

interface StatusRow {
  sources: number
  public_sources: number
  segments: number
  public_segments: number
  lexicon_terms: number
  files: number
  last_ingest: Date | null
}

export const statusCommand = defineCommand<{ databaseUrl?: string }>({
  name: 'status',
  summary: 'what is stored at home: counts, the active generation of vectors, the last ingest',
  details: [
    '--json: {files, sources: {all, public}, segments: {all, public}, lexiconTerms, missingVectors,',
    'model: {id, name, kind, dimensions}|null, building: number of generations begun, lastIngest: time|null,',
    'pause: {slot, reason, since}|null: a relay asks ingest to wait}',
  ].join(' '),
  examples: [['status --json', 'for a script']],
  configure(command) {
    command.option('--database-url <url>', 'the primary (default: LOCAL_DATABASE_URL)')
  },
  run: status,
})

async function status({ options, out }: Invocation<{ databaseUrl?: string }>): Promise<ExitCode> {
  assertIngestAllowed()
  const primary = await openPrimary(primaryUrl(options.databaseUrl))
  try {
    const [row] = await primary.rows<StatusRow>('ingest/status')
    const generations = await readGenerations(primary)
    const active = generations.find((generation) => generation.state === 'active')
    const [missing] = await primary.rows<{ missing: number }>('ingest/count-missing', [active?.id ?? 0])
    const report = {
      files: row?.files ?? 0,
      sources: { all: row?.sources ?? 0, public: row?.public_sources ?? 0 },
      segments: { all: row?.segments ?? 0, public: row?.public_segments ?? 0 },
      lexiconTerms: row?.lexicon_terms ?? 0,
      missingVectors: missing?.missing ?? 0,
      model: active === undefined ? null : describeModel(active),
      building: generations.filter((generation) => generation.state === 'building').length,
      lastIngest: row?.last_ingest?.toISOString() ?? null,
      pause: describePause(await readPause(primary)),
    }
    out.result(report, describeStatus(report))
    return 0
  } finally {
    await primary.close()
  }
}

function describePause(
  pause: IngestPause | undefined,
): { slot: string; reason: string; since: string } | null {
  return pause === undefined
    ? null
    : { slot: pause.slot, reason: pause.reason, since: pause.asked_at.toISOString() }
}

function describeStatus(report: {
  files: number
  sources: { all: number; public: number }
  segments: { all: number; public: number }
  missingVectors: number
  model: GenerationReport['model']
  lastIngest: string | null
  pause: ReturnType<typeof describePause>
}): string {
  const { sources, segments, model, pause } = report
  const generation = model === null ? 'none' : `${model.id} (${model.name}, ${model.dimensions} dimensions)`
  return [
    `sources      ${sources.all.toLocaleString('en')}, of which ${sources.public.toLocaleString('en')} public`,
    `segments     ${segments.all.toLocaleString('en')}, of which ${segments.public.toLocaleString('en')} public`,
    `generation   ${generation}, ${report.missingVectors.toLocaleString('en')} vectors missing`,
    `last ingest  ${report.lastIngest ?? 'never'}`,
    ...(pause === null ? [] : [`waits        since ${pause.since}: ${pause.reason}`]),
  ].join('\n')
}
