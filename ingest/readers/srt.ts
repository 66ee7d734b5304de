import type { Transcript } from '../transcript.ts'
import { clip, type Cue, isTimeLine, parseTimeLine } from './cue.ts'
import { parseSrtPayload } from './cue-payload.ts'
import { cuesToTranscript } from './cues-to-transcript.ts'
import { LineCursor } from './line-cursor.ts'
import { ReadError } from './read-error.ts'

interface RawCue {
  line: number
  /** Its number, where it has one. */
  index: number | undefined
  startMs: number
  endMs: number
  texts: { line: number; text: string; afterBlank: boolean }[]
}

/**
 * Reads SubRip captions: numbers may be missing, milliseconds may stand after a comma or a point,
 * coordinates after the time line and styling tags go. A blank line within a cue is kept together
 * with it (with a warning); a number with text and no time between refuses the file.
 * @throws ReadError MALFORMED_TRANSCRIPT, BAD_TIME, LINE_TOO_LONG
 */
export function readSrt(text: string, file: string): { transcript: Transcript; warnings: string[] } {
  const raw = readRawCues(new LineCursor(text, file), file)
  const split: number[] = []
  const cues = raw.map((cue): Cue => {
    checkText(cue, file, split)
    return {
      line: cue.line,
      startMs: cue.startMs,
      endMs: cue.endMs,
      lines: parseSrtPayload(cue.texts.map((each) => each.text)),
    }
  })
  const { transcript, warnings } = cuesToTranscript(cues, 'srt')
  const [first] = split
  if (first !== undefined) {
    warnings.unshift(
      `line ${first}: text after a blank line was kept with the cue above (${split.length} in all)`,
    )
  }
  return { transcript, warnings }
}

function readRawCues(lines: LineCursor, file: string): RawCue[] {
  const cues: RawCue[] = []
  let cue: RawCue | undefined
  let leading: { line: number; text: string } | undefined
  let afterBlank = false
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    if (isTimeLine(line)) {
      if (leading !== undefined && !isIndex(leading.text)) throw withoutTime(file, leading)
      const index = cue === undefined ? leading?.text : takeIndex(cue, afterBlank)
      leading = undefined
      cue = {
        line: lines.number,
        index: index === undefined ? undefined : Number(index),
        ...parseTimeLine(line, { file, line: lines.number }),
        texts: [],
      }
      cues.push(cue)
      afterBlank = false
    } else if (line === '') afterBlank = true
    else {
      if (cue !== undefined) cue.texts.push({ line: lines.number, text: line, afterBlank })
      else {
        if (leading !== undefined) throw withoutTime(file, leading)
        leading = { line: lines.number, text: line }
      }
      afterBlank = false
    }
  }
  if (cues.length === 0) {
    throw new ReadError('NOT_A_TRANSCRIPT', {
      file,
      line: leading?.line,
      reason: 'there is no time line (00:00:01,000 --> 00:00:02,000) in it',
    })
  }
  return cues
}

/**
 * The number of the next cue was read as the last line of this one. Without a blank line before it,
 * it must be the next number: "42" may also be what somebody says.
 */
function takeIndex(cue: RawCue, blankSince: boolean): string | undefined {
  const last = cue.texts.at(-1)
  if (last === undefined || blankSince || !isIndex(last.text)) return undefined
  if (!last.afterBlank && Number(last.text) !== (cue.index ?? -2) + 1) return undefined
  cue.texts.pop()
  return last.text
}

function checkText(cue: RawCue, file: string, split: number[]): void {
  for (const [index, { line, text, afterBlank }] of cue.texts.entries()) {
    if (!afterBlank) continue
    const next = cue.texts[index + 1]
    if (isIndex(text) && next !== undefined && !next.afterBlank) throw withoutTime(file, next)
    if (text.trim() !== '') split.push(line)
  }
}

function isIndex(text: string): boolean {
  return /^\s*\d{1,7}\s*$/.test(text)
}

function withoutTime(file: string, at: { line: number; text: string }): ReadError {
  return new ReadError('MALFORMED_TRANSCRIPT', {
    file,
    line: at.line,
    reason: `"${clip(at.text)}" has no time line above it`,
    hint: 'Give the cue a line like 00:01:02,000 --> 00:01:04,000.',
  })
}
