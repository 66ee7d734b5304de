// TEMPORARY stand-in for chunking
import { basename } from 'node:path'
import { countTerms } from '../../core/words.ts'
import { sourceId, sourceIdentity, type InputFiles } from '../identity.ts'
import { readInputFile } from '../readers/input-file.ts'
import { readTranscript } from '../readers/read-transcript.ts'
import { failureOf } from '../store/failure.ts'
import type { ReadSource } from '../store/ingest-files.ts'
import { toSourceRows } from '../store/source-rows.ts'
import { chunkTranscript } from '../chunk/chunk-transcript.ts'

/**
 * One transcript with its metadata, cut into segments and counted. Never throws for what is wrong with the
 * file: that is in the result.
 */
export async function readSource(file: InputFiles): Promise<ReadSource> {
  try {
    const { transcript, warnings } = readTranscript({
      path: file.path,
      bytes: await readInputFile(file.path),
    })
    const drafts = chunkTranscript(transcript)
    const id = sourceId(sourceIdentity({ url: null, id: null, realPath: file.path }))
    const rows = toSourceRows({
      id,
      method: transcript.method,
      engine: transcript.engine,
      drafts,
      countTerms,
      metadata: {
        kind: 'recording',
        url: null,
        title: basename(file.path),
        channel: null,
        language: null,
        durationMs: null,
        publishedAt: null,
        views: null,
        visibility: 'public',
        chapters: [],
      },
    })
    return { rows, warnings }
  } catch (error) {
    const failure = failureOf(error, file.path)
    if (failure === undefined) throw error
    return { failure, warnings: [] }
  }
}
