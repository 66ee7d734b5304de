import { countTerms } from '../../core/words.ts'
import { chunkTranscript } from '../chunk/chunk-transcript.ts'
import { sourceId, sourceIdentity, type InputFiles } from '../identity.ts'
import { decodeText } from '../readers/bytes-to-text.ts'
import { parseSourceInfo, readSourceMetadata } from '../readers/info-json.ts'
import { readInputFile } from '../readers/input-file.ts'
import { readTranscript } from '../readers/read-transcript.ts'
import { failureOf } from '../store/failure.ts'
import type { ReadSource } from '../store/ingest-files.ts'
import { toSourceRows } from '../store/source-rows.ts'

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
    const info = file.metadataPath === null ? undefined : await readInfo(file.metadataPath)
    const metadata = readSourceMetadata(info?.text, file.path, transcript, {
      ...(file.metadataPath === null ? {} : { infoPath: file.metadataPath }),
    })
    const identity = sourceIdentity({
      url: metadata.url,
      id: metadata.url === null && info !== undefined ? parseSourceInfo(info.text, info.path).id : null,
      realPath: file.identityPath,
    })
    const rows = toSourceRows({
      id: sourceId(identity),
      metadata,
      method: transcript.method,
      engine: transcript.engine,
      drafts: chunkTranscript(transcript, { chapters: metadata.chapters }),
      countTerms,
    })
    return { rows, warnings }
  } catch (error) {
    const failure = failureOf(error, file.path)
    if (failure === undefined) throw error
    return { failure, warnings: [] }
  }
}

async function readInfo(path: string): Promise<{ text: string; path: string }> {
  return { text: decodeText(await readInputFile(path), path).text, path }
}
