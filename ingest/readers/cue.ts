import { ReadError } from './read-error.ts'

/** A word of a cue, with what the markup around it says. */
export interface CueWord {
  text: string
  /** The time tag before it (`<00:00:01.000>`), where there is one. */
  stampMs: number | null
  speaker: string | null
}

/** A cue of WebVTT or SRT: its lines as they are shown, a blank one as an empty list. */
export interface Cue {
  line: number
  startMs: number
  endMs: number
  lines: CueWord[][]
}

const dayMs = 24 * 60 * 60 * 1000

/** `01:02:03.456`, `02:03.456`, comma or point, as milliseconds; or a reason why it is no time of a cue. */
export function parseClock(text: string): number | string {
  const parts = /^(?:(\d{1,9}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?$/.exec(text)
  if (parts === null)
    return /^-/.test(text) ? `the time "${clip(text)}" is negative` : `"${clip(text)}" is not a time`
  const [, hours = '0', minutes = '', seconds = '', fraction = ''] = parts
  if (Number(minutes) > 59 || Number(seconds) > 59) return `"${clip(text)}" is not a time`
  const ms =
    ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Number(fraction.padEnd(3, '0'))
  return ms > dayMs ? `the time "${clip(text)}" lies beyond 24 hours` : ms
}

/** Whether a line means to be the time line of a cue, well formed or not (and not speech with an arrow in it). */
export function isTimeLine(line: string): boolean {
  const arrow = line.indexOf('-->')
  if (arrow === -1) return false
  return /^\s*-?\d[\w:.,]*\s*$/.test(line.slice(0, arrow))
}

/** Start and end of a time line; settings after them are ignored. @throws ReadError BAD_TIME */
export function parseTimeLine(
  line: string,
  at: { file: string; line: number },
): { startMs: number; endMs: number } {
  const arrow = line.indexOf('-->')
  const [end = ''] = line
    .slice(arrow + 3)
    .trim()
    .split(/\s+/, 1)
  const startMs = timeOrThrow(line.slice(0, arrow).trim(), at)
  const endMs = timeOrThrow(end, at)
  if (endMs < startMs) {
    throw new ReadError('BAD_TIME', {
      ...at,
      reason: `the cue ends before it starts ("${clip(line.trim())}")`,
    })
  }
  return { startMs, endMs }
}

function timeOrThrow(text: string, at: { file: string; line: number }): number {
  const ms = parseClock(text)
  if (typeof ms === 'string') throw new ReadError('BAD_TIME', { ...at, reason: ms })
  return ms
}

/** A piece of the input short enough for a message. */
export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
