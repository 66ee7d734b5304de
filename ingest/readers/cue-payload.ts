import { type Cue, type CueWord, parseClock } from './cue.ts'
import { decodeEntities, foldSpace } from './entities.ts'

// WebVTT calls every <...> a tag; SRT knows only these, and speech may hold "a < b".
const vttToken = /<(?:\/?[a-z][^<>]*|\d[\d:.]*|\/?)>/gi
const srtToken = /<\/?(?:i|b|u|s|em|strong|font|c|v|ruby|rt|lang|span|p|div|br)\b[^<>]*>|\{\\[^{}]*\}/gi

/** Takes the lines of a WebVTT cue apart: voices, time tags; class, style and language tags go. */
export function parseVttPayload(lines: readonly string[]): CueWord[][] {
  return parsePayload(lines, vttToken)
}

/** The same for SRT: HTML-like tags and `{\an8}` go. */
export function parseSrtPayload(lines: readonly string[]): CueWord[][] {
  return parsePayload(lines, srtToken)
}

function parsePayload(lines: readonly string[], token: RegExp): CueWord[][] {
  // A voice and a time hold across the lines of a cue until the next.
  const state = { speaker: null as string | null, stampMs: null as number | null }
  return lines.map((line) => {
    const words: CueWord[] = []
    let open = false
    const take = (text: string): void => {
      if (text === '') return
      const decoded = decodeEntities(text).replace(/[\u200B\u2060\uFEFF\u200E\u200F]/g, '')
      const pieces = decoded.split(/\s+/)
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) open = false
        if (piece === '') continue
        const last = words.at(-1)
        if (open && last !== undefined && last.speaker === state.speaker) last.text += piece
        else words.push({ text: piece, ...state })
        open = true
      }
    }
    let at = 0
    for (const match of line.matchAll(token)) {
      take(line.slice(at, match.index))
      readTag(match[0], state)
      at = match.index + match[0].length
    }
    take(line.slice(at))
    return words
  })
}

function readTag(tag: string, state: { speaker: string | null; stampMs: number | null }): void {
  const voice = /^<v(?:\.[^\s>]*)?(?:\s+([^>]*))?>$/i.exec(tag)
  if (voice !== null) state.speaker = foldSpace(decodeEntities(voice[1] ?? '')) || null
  else if (/^<\/v>$/i.test(tag)) state.speaker = null
  else if (/^<\d/.test(tag)) {
    const ms = parseClock(tag.slice(1, -1))
    if (typeof ms === 'number') state.stampMs = ms
  }
}

/** A line of a cue as plain text. */
export function lineText(words: readonly CueWord[]): string {
  return words.map((word) => word.text).join(' ')
}

/** Whether a time tag stands between the words of a line. */
export function hasStamps(words: readonly CueWord[]): boolean {
  return words.some((word) => word.stampMs !== null)
}

/** All words of a cue in order. */
export function cueWords(cue: Cue): CueWord[] {
  return cue.lines.length === 1 ? (cue.lines[0] ?? []) : cue.lines.flat()
}
