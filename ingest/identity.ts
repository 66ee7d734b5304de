import { createHash, type Hash } from 'node:crypto'
import { readInputPieces } from './readers/input-file.ts'
import type { SegmentDraft } from './transcript.ts'

/**
 * Part of every input's hash: raise it when reading, chunking or counting changes what a transcript
 * becomes, and the next run reads every file again (and still writes only what differs).
 */
export const pipelineVersion = 2

/** The files that decide what a source becomes. */
export interface InputFiles {
  path: string
  /** The metadata file beside it; null when there is none. */
  metadataPath: string | null
  /** Its real path without language and extension: the same whichever track of a video is read. */
  identityPath: string
}

/**
 * sha256 over the pipeline's version and the bytes of the transcript and its metadata, each framed by its
 * length. Reads in pieces, so a large file takes little memory.
 *
 * @throws ReadError FILE_UNREADABLE, FILE_TOO_LARGE
 */
export async function hashInput(files: Pick<InputFiles, 'path' | 'metadataPath'>): Promise<Buffer> {
  const hash = createHash('sha256').update(`homeport ${pipelineVersion}\n`)
  await hashFile(hash, files.path)
  if (files.metadataPath !== null) await hashFile(hash, files.metadataPath)
  return hash.digest()
}

async function hashFile(hash: Hash, path: string): Promise<void> {
  const inner = createHash('sha256')
  let lengthBytes = 0
  await readInputPieces(path, (piece) => {
    inner.update(piece)
    lengthBytes += piece.length
  })
  hash.update(`${lengthBytes} `).update(inner.digest())
}

/**
 * What a source is called between runs: its address, else the id its metadata gives, else where it lies. Only {@link sourceId}'s hash of it is stored.
 */
export function sourceIdentity(given: { url: string | null; id: string | null; realPath: string }): string {
  if (given.url !== null) return `url ${given.url}`
  if (given.id !== null) return `id ${given.id}`
  return `path ${given.realPath}`
}

/** The first eight bytes of the sha256 of an identity, as a signed 64-bit number in text. */
export function sourceId(identity: string): string {
  return idOf(identity)
}

type Identifying = Pick<SegmentDraft, 'startMs' | 'endMs' | 'speaker' | 'text' | 'chapter'>

/**
 * Ids of a source's segments, from what they are and not where they stand: a segment keeps its id when
 * others come before it. Words said twice at the same time are told apart by their turn.
 */
export function segmentIds(ofSource: string, drafts: readonly Identifying[]): string[] {
  const seen = new Map<string, number>()
  return drafts.map((draft) => {
    const what = JSON.stringify([
      ofSource,
      draft.startMs,
      draft.endMs,
      draft.speaker,
      draft.text,
      draft.chapter,
    ])
    const repeat = seen.get(what) ?? 0
    seen.set(what, repeat + 1)
    return idOf(`${what} ${repeat}`)
  })
}

function idOf(text: string): string {
  return createHash('sha256').update(text).digest().readBigInt64BE(0).toString()
}
