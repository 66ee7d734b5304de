import { defineCommand, type Invocation } from '../../core/cli.ts'
import type { ExitCode } from '../../core/errors.ts'
import { refreshGeneration, type GenerationReport } from '../generation/refresh.ts'
import { Progress } from '../progress.ts'
import { takeIngestLock } from '../store/lock.ts'
import { refuseWhenPaused } from '../store/pause.ts'
import { openPrimary } from '../store/primary.ts'
import { assertIngestAllowed, primaryUrl } from './allowed.ts'
import { chooseModel } from './choose-model.ts'
import { explainDatabaseError } from './database-error.ts'

interface EmbedOptions {
  force?: boolean
  ignorePause?: boolean
  databaseUrl?: string
}

export const embedCommand = defineCommand<EmbedOptions>({
  name: 'embed',
  summary: 'bring word statistics and vectors up to date with what is stored',
  details: [
    'The last step of ingest captions, alone: fits or loads the model of EMBEDDING_MODEL when the active generation',
    'is not of it or the collection has changed by a fifth, fills in missing vectors, and switches only when',
    'every segment has one.\n\n',
    '--json: {action: none|keep|finish|build, model: {id, name, kind, dimensions}|null, vectorsAdded, lexiconWritten,',
    'seconds}',
  ].join(' '),
  examples: [
    ['embed', 'after changing EMBEDDING_MODEL'],
    ['embed --force', 'make a new generation even when the active one would do'],
  ],
  configure(command) {
    command
      .option('--force', 'make a new generation in any case')
      .option('--ignore-pause', 'go on while the relay asks ingest to wait: the disk may fill')
      .option('--database-url <url>', 'the primary (default: LOCAL_DATABASE_URL)')
  },
  run: embed,
})

async function embed({ options, out, signal }: Invocation<EmbedOptions>): Promise<ExitCode> {
  assertIngestAllowed()
  const connectionString = primaryUrl(options.databaseUrl)
  const primary = await openPrimary(connectionString, { ignoresPause: options.ignorePause === true })
  try {
    await takeIngestLock(primary)
    await refuseWhenPaused(primary)
    const chosen = await chooseModel()
    const progress = new Progress({ out, isTerminal: process.stderr.isTTY })
    try {
      const report = await refreshGeneration({
        primary,
        chosen,
        force: options.force === true,
        loaded: null,
        signal,
        onProgress: ({ step, done, total }) => progress.show({ label: step, done, total }),
      })
      out.result(report, describeGeneration(report))
      return 0
    } finally {
      if (chosen.kind === 'onnx') await chosen.embedder.close()
    }
  } catch (error) {
    throw explainDatabaseError(error, connectionString)
  } finally {
    await primary.close()
  }
}

function describeGeneration({ action, model, vectorsAdded, seconds }: GenerationReport): string {
  if (model === null) return 'There are no public segments yet: nothing to make vectors of.'
  const what = { none: 'No change', keep: 'Kept', finish: 'Finished', build: 'Built' }[action]
  return `${what}: generation ${model.id} (${model.name}, ${model.dimensions} dimensions), ${vectorsAdded.toLocaleString('en')} vectors added in ${seconds.toFixed(1)} s`
}
