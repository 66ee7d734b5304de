import { defineCommand, type Invocation } from '../../core/cli.ts'
import type { ExitCode } from '../../core/errors.ts'
import { assertIngestAllowed, primaryUrl } from './allowed.ts'
import { runCaptions, type CaptionsReport } from './captions-run.ts'

interface CaptionsOptions {
  prune?: boolean
  yes?: boolean
  dryRun?: boolean
  ignorePause?: boolean
  databaseUrl?: string
}

export const captionsCommand = defineCommand<CaptionsOptions>({
  name: 'captions',
  summary: 'take in transcripts: captions and Markdown, from files and folders',
  details: [
    'Reads WebVTT, SRT, YouTube json3 and Markdown with speakers, cuts them into segments and writes exactly',
    'what differs from what is stored, one transaction a source. A second run writes nothing; a run that was',
    'stopped goes on with the next. Then it brings the vectors up to date.\n\n',
    'NAME.info.json beside NAME.* gives title, address, date and visibility. A bad file is named with line and',
    'reason, the others go on, and the exit code is 1.\n\n',
    'While the relay asks ingest to wait, because the cloud is away and the log fills its budget, it stops before',
    'the next source (INGEST_PAUSED, exit 1). What is stored stays; a later run goes on.\n\n',
    '--json: {ok, dryRun, files, sources: {added, changed, unchanged, removed, failed}, segments: {added, removed,',
    'updated, unchanged}, generation: {action, model: {id, name, kind, dimensions}|null, vectorsAdded,',
    'lexiconWritten, seconds}|null, failures: [{path, line, code, reason}], seconds}',
  ].join(' '),
  examples: [
    ['captions talks/', 'every transcript in the folder and below'],
    ['captions talks/ --prune', 'and forget the sources whose file is gone'],
    ['captions one.vtt two.srt --dry-run --json', 'what would change'],
  ],
  configure(command) {
    command
      .argument('<path...>', 'files and folders')
      .option('--prune', 'remove the sources whose file lay under these paths and is gone')
      .option('--yes', 'let --prune remove more than half of what is known there')
      .option('--dry-run', 'read everything and write nothing')
      .option('--ignore-pause', 'go on while the relay asks ingest to wait: the disk may fill')
      .option('--database-url <url>', 'the primary (default: LOCAL_DATABASE_URL)')
  },
  run: captions,
})

async function captions({ args, options, out, signal }: Invocation<CaptionsOptions>): Promise<ExitCode> {
  assertIngestAllowed()
  const report = await runCaptions({
    paths: args,
    connectionString: primaryUrl(options.databaseUrl),
    prune: options.prune === true,
    yes: options.yes === true,
    dryRun: options.dryRun === true,
    ignorePause: options.ignorePause === true,
    signal,
    out,
    isTerminal: process.stderr.isTTY,
  })
  out.result(report, describeReport(report))
  return report.ok ? 0 : 1
}

/** The result as a person reads it; the failures are named on stderr as they come and once more here. */
export function describeReport(report: CaptionsReport): string {
  const { sources, segments, generation } = report
  const number = (value: number): string => value.toLocaleString('en')
  const lines = [
    `${report.dryRun ? 'Would change' : 'Done'}: ${number(report.files)} files in ${report.seconds.toFixed(1)} s`,
    `  sources   ${number(sources.added)} added, ${number(sources.changed)} changed, ${number(sources.unchanged)} unchanged, ${number(sources.removed)} removed, ${number(sources.failed)} failed`,
    `  segments  ${number(segments.added)} added, ${number(segments.updated)} updated, ${number(segments.removed)} removed, ${number(segments.unchanged)} unchanged`,
  ]
  if (generation?.model) {
    const { id, name, dimensions } = generation.model
    lines.push(
      `  vectors   ${number(generation.vectorsAdded)} added; generation ${id} (${name}, ${dimensions} dimensions)`,
    )
  }
  return lines.join('\n')
}
