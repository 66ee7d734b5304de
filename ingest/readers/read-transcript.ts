import { basename, extname } from 'node:path'
import type { Transcript } from '../transcript.ts'
import { decodeText } from './bytes-to-text.ts'
import { readMarkdown } from './markdown.ts'
import { ReadError } from './read-error.ts'
import { readSrt } from './srt.ts'
import { languageOfFile } from './track-name.ts'
import { readWebVtt } from './webvtt.ts'
import { readJson3 } from './youtube-json3.ts'

export interface ReadResult {
  transcript: Transcript
  /** What was repaired or left out, with its line; the file is good all the same. */
  warnings: string[]
}

type Reader = (text: string, file: string) => ReadResult

const readers: Readonly<Record<string, Reader>> = {
  '.vtt': readWebVtt,
  '.srt': readSrt,
  '.json3': readJson3,
  '.json': readJson3,
  '.md': readMarkdown,
  '.markdown': readMarkdown,
}

/** The file name extensions a transcript may have. */
export const transcriptExtensions: readonly string[] = Object.keys(readers)

/**
 * Reads a transcript of any known kind. The name's extension says which; captions whose content
 * plainly is of the other kind (WebVTT named .srt) are read as what they are, with a warning.
 * @throws ReadError NOT_A_TRANSCRIPT for an unknown kind, NO_SPEECH when there is no word in it,
 *   and those of the readers and of {@link decodeText}
 */
export function readTranscript(file: { path: string; bytes: Uint8Array }): ReadResult {
  const extension = extname(file.path).toLowerCase()
  const byName = readers[extension]
  if (byName === undefined) {
    throw new ReadError('NOT_A_TRANSCRIPT', {
      file: file.path,
      reason: extension === '' ? 'its name has no extension' : `${extension} is not a kind of transcript`,
      hint: 'Known are .vtt, .srt, .json3 (or .json of that content) and .md with speakers.',
    })
  }
  const decoded = decodeText(file.bytes, file.path)
  const { reader, warning } = readerByContent(byName, extension, decoded.text)
  const { transcript, warnings } = reader(decoded.text, file.path)
  if (!transcript.utterances.some((utterance) => /[\p{L}\p{N}]/u.test(utterance.text))) {
    const [doubt] = decoded.warnings
    throw new ReadError('NO_SPEECH', {
      file: file.path,
      reason: `it is well-formed, but holds no speech${doubt === undefined ? '' : ` (${doubt})`}`,
    })
  }
  const language = transcript.language ?? languageOfFile(basename(file.path))
  return {
    transcript: language === undefined ? transcript : { ...transcript, language },
    warnings: [...decoded.warnings, ...(warning === undefined ? [] : [warning]), ...warnings],
  }
}

function readerByContent(
  byName: Reader,
  extension: string,
  text: string,
): { reader: Reader; warning?: string } {
  if (byName === readMarkdown) return { reader: byName }
  const start = text.slice(0, 200).trimStart()
  if (/^WEBVTT(?:\s|$)/.test(start) && byName !== readWebVtt) {
    return { reader: readWebVtt, warning: `line 1: this is WebVTT, though it is named ${extension}` }
  }
  if (start.startsWith('{') && byName !== readJson3) {
    return { reader: readJson3, warning: `line 1: this is JSON, though it is named ${extension}` }
  }
  return { reader: byName }
}
