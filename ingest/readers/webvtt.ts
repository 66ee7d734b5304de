import type { Transcript } from '../transcript.ts'
import { clip, type Cue, isTimeLine, parseTimeLine } from './cue.ts'
import { parseVttPayload } from './cue-payload.ts'
import { cuesToTranscript } from './cues-to-transcript.ts'
import { LineCursor } from './line-cursor.ts'
import { ReadError } from './read-error.ts'

/**
 * Reads WebVTT (W3C), and YouTube's rolling automatic captions in it. Lenient where writers are
 * (one-digit hours, a comma before milliseconds, a cue right after another without a blank line),
 * strict where speech could be lost: text without a time and times that make no sense refuse the file.
 * @throws ReadError MALFORMED_TRANSCRIPT, BAD_TIME, LINE_TOO_LONG
 */
export function readWebVtt(text: string, file: string): { transcript: Transcript; warnings: string[] } {
  const lines = new LineCursor(text, file)
  const header = readHeader(lines, file)
  const { transcript, warnings } = cuesToTranscript(readCues(lines, file, header.pendingTimeLine), 'webvtt')
  return {
    transcript: header.language === undefined ? transcript : { ...transcript, language: header.language },
    warnings,
  }
}

interface Header {
  language: string | undefined
  /** A time line that came without a blank line after the header. */
  pendingTimeLine: string | undefined
}

function readHeader(lines: LineCursor, file: string): Header {
  const first = lines.next() ?? ''
  if (!/^WEBVTT(?:[ \t]|$)/.test(first)) {
    throw new ReadError('MALFORMED_TRANSCRIPT', {
      file,
      line: 1,
      reason: `it does not begin with "WEBVTT" but with "${clip(first)}"`,
      hint: 'If these are SubRip captions, name the file .srt.',
    })
  }
  let language: string | undefined
  for (let line = lines.next(); line !== undefined && line !== ''; line = lines.next()) {
    if (isTimeLine(line)) return { language, pendingTimeLine: line }
    const named = /^Language:\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)\s*$/i.exec(line)
    if (named?.[1] !== undefined) language = named[1]
  }
  return { language, pendingTimeLine: undefined }
}

function readCues(lines: LineCursor, file: string, pendingTimeLine: string | undefined): Cue[] {
  const cues: Cue[] = []
  let line = pendingTimeLine ?? lines.next()
  // The lines of the cue read last, while only blank ones came: some tools cut the " " of a blank
  // first line, so that the text follows after an empty one.
  let emptyCue: Cue | undefined
  while (line !== undefined) {
    if (line === '') {
      line = lines.next()
      continue
    }
    if (/^(?:NOTE|STYLE|REGION)(?:[ \t]|$)/.test(line) && !isTimeLine(line)) {
      line = skipBlock(lines)
      continue
    }
    const blockLine = lines.number
    if (!isTimeLine(line)) {
      const after = lines.next()
      if (after !== undefined && isTimeLine(after)) line = after
      else if (emptyCue !== undefined) {
        const payload = readPayload(lines, after, [line])
        emptyCue.lines = parseVttPayload(['', ...payload.texts])
        emptyCue = undefined
        line = payload.next
        continue
      } else throw withoutTime(file, blockLine, line)
    }
    const times = parseTimeLine(line, { file, line: lines.number })
    const cue: Cue = { line: lines.number, ...times, lines: [] }
    const payload = readPayload(lines, lines.next(), [])
    cue.lines = parseVttPayload(payload.texts)
    cues.push(cue)
    emptyCue = payload.texts.length === 0 ? cue : undefined
    line = payload.next
  }
  return cues
}

function readPayload(
  lines: LineCursor,
  first: string | undefined,
  texts: string[],
): { texts: string[]; next: string | undefined } {
  let line = first
  while (line !== undefined && line !== '' && !isTimeLine(line)) {
    texts.push(line)
    line = lines.next()
  }
  return { texts, next: line }
}

function skipBlock(lines: LineCursor): string | undefined {
  let line = lines.next()
  while (line !== undefined && line !== '' && !isTimeLine(line)) line = lines.next()
  return line
}

function withoutTime(file: string, line: number, text: string): ReadError {
  if (text.includes('-->')) {
    return new ReadError('BAD_TIME', { file, line, reason: `"${clip(text)}" is not a time line` })
  }
  return new ReadError('MALFORMED_TRANSCRIPT', {
    file,
    line,
    reason: `"${clip(text)}" has no time line above it`,
    hint: 'Give the cue a line like 00:01:02.000 --> 00:01:04.000, or mark a comment with NOTE.',
  })
}
