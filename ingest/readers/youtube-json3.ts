import type { Transcript, Utterance } from '../transcript.ts'
import type { Cue, CueWord } from './cue.ts'
import { cuesToTranscript, isSoundLabel, withoutOverlap } from './cues-to-transcript.ts'
import { decodeEntities, foldSpace, withoutLoneSurrogates } from './entities.ts'
import { isJsonObject, type JsonObject, parseJson } from './json.ts'
import { ReadError } from './read-error.ts'

const dayMs = 24 * 60 * 60 * 1000

interface Segment {
  text: string
  offsetMs: number
  /** 0 to 255; 0 when unknown. */
  confidence: number
}

interface CaptionEvent {
  startMs: number
  endMs: number
  segments: Segment[]
}

/** Whether parsed JSON has the shape of YouTube's captions. */
export function isJson3(value: unknown): value is JsonObject & { events: unknown[] } {
  return isJsonObject(value) && Array.isArray(value['events'])
}

/**
 * Reads YouTube's json3 captions, manual or automatic. Automatic ones carry a start for every word
 * (`tOffsetMs`) and a confidence (`acAsrConf`); their events that append a line break, and those that
 * define a window, say nothing and are passed over, so every word comes out once. Sound labels
 * (`[Music]`) of automatic captions are left out.
 * @throws ReadError MALFORMED_TRANSCRIPT, NOT_A_TRANSCRIPT, BAD_TIME
 */
export function readJson3(text: string, file: string): { transcript: Transcript; warnings: string[] } {
  const json = parseJson(text, file, 'MALFORMED_TRANSCRIPT')
  if (!isJson3(json)) {
    throw new ReadError('NOT_A_TRANSCRIPT', {
      file,
      reason: 'this JSON has no "events", so it is not json3 captions',
    })
  }
  const events: CaptionEvent[] = []
  let automatic = false
  for (const [index, value] of json.events.entries()) {
    const fail = failure(text, file, index)
    if (!isJsonObject(value)) throw fail('MALFORMED_TRANSCRIPT', 'is not an object')
    const segs = value['segs']
    if (segs === undefined || segs === null) continue
    if (!Array.isArray(segs)) throw fail('MALFORMED_TRANSCRIPT', 'has "segs" that are not a list')
    automatic ||= segs.some((seg) => isJsonObject(seg) && ('tOffsetMs' in seg || 'acAsrConf' in seg))
    if (value['aAppend'] === 1) {
      automatic = true
      if (segs.every(isLineBreak)) continue
    }
    events.push(readEvent(value, segs, fail))
  }
  events.sort((a, b) => a.startMs - b.startMs)
  if (!automatic) return cuesToTranscript(events.map(toCue), 'youtube-json3')
  return {
    transcript: {
      utterances: withoutOverlap(events.flatMap(automaticUtterance)),
      chapters: [],
      method: 'captions-auto',
      engine: 'youtube-json3',
    },
    warnings: [],
  }
}

function isLineBreak(seg: unknown): boolean {
  return isJsonObject(seg) && typeof seg['utf8'] === 'string' && seg['utf8'].trim() === ''
}

type Fail = (code: 'MALFORMED_TRANSCRIPT' | 'BAD_TIME', what: string) => ReadError

function failure(text: string, file: string, index: number): Fail {
  return (code, what) =>
    new ReadError(code, { file, line: lineOfEvent(text, index), reason: `event ${index + 1} ${what}` })
}

function readEvent(event: JsonObject, segs: readonly unknown[], fail: Fail): CaptionEvent {
  const startMs = time(event['tStartMs'], 'tStartMs', fail)
  const durationMs = event['dDurationMs'] === undefined ? 0 : time(event['dDurationMs'], 'dDurationMs', fail)
  const segments = segs.map((seg): Segment => {
    if (!isJsonObject(seg)) throw fail('MALFORMED_TRANSCRIPT', 'has a segment that is not an object')
    const { utf8 = '', acAsrConf } = seg
    if (typeof utf8 !== 'string') throw fail('MALFORMED_TRANSCRIPT', 'has a segment whose "utf8" is not text')
    return {
      text: utf8,
      offsetMs: seg['tOffsetMs'] === undefined ? 0 : time(seg['tOffsetMs'], 'tOffsetMs', fail),
      confidence: typeof acAsrConf === 'number' && acAsrConf > 0 && acAsrConf <= 255 ? acAsrConf : 0,
    }
  })
  return { startMs, endMs: startMs + durationMs, segments }
}

function time(value: unknown, name: string, fail: Fail): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw fail('BAD_TIME', `has no number as "${name}"`)
  if (value < 0) throw fail('BAD_TIME', `has a negative "${name}" (${value})`)
  if (value > dayMs) throw fail('BAD_TIME', `has a "${name}" beyond 24 hours (${value})`)
  return Math.round(value)
}

function automaticUtterance(event: CaptionEvent): Utterance[] {
  const words: string[] = []
  const starts: number[] = []
  let open = false
  let latest = event.startMs
  for (const segment of event.segments) {
    latest = Math.max(latest, event.startMs + segment.offsetMs)
    for (const [index, piece] of cleanText(segment.text).split(/\s+/).entries()) {
      if (index > 0) open = false
      if (piece === '') continue
      if (open) words.push((words.pop() ?? '') + piece)
      else {
        words.push(piece)
        starts.push(latest)
      }
      open = true
    }
  }
  const text = foldSpace(words.join(' '))
  if (text === '' || isSoundLabel(text)) return []
  const known = event.segments.filter((segment) => segment.confidence > 0 && segment.text.trim() !== '')
  const sum = known.reduce((total, segment) => total + segment.confidence, 0)
  return [
    {
      startMs: event.startMs,
      endMs: Math.max(event.endMs, latest),
      speaker: null,
      text,
      wordStartsMs: starts,
      ...(known.length === 0 ? {} : { confidence: sum / known.length / 255 }),
    },
  ]
}

function toCue(event: CaptionEvent): Cue {
  const text = cleanText(event.segments.map((segment) => segment.text).join(''))
  const lines = text.split('\n').map((line): CueWord[] =>
    line
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word) => ({ text: word, stampMs: null, speaker: null })),
  )
  return { line: 0, startMs: event.startMs, endMs: event.endMs, lines }
}

/** Entities, invisible marks, what no database takes, and YouTube's `[ __ ]` for a swear word as one word. */
function cleanText(text: string): string {
  return withoutLoneSurrogates(decodeEntities(text))
    .replaceAll('\0', '')
    .replace(/[\u200B\u2060\uFEFF\u200E\u200F]/g, '')
    .replace(/\[\s*__\s*\]/g, '[__]')
}

/** Every event has one `tStartMs`, so the n-th of them tells the line of the n-th event. */
function lineOfEvent(text: string, index: number): number | undefined {
  let line = 1
  let seen = -1
  for (const match of text.matchAll(/\n|"tStartMs"/g)) {
    if (match[0] === '\n') line += 1
    else if (++seen === index) return line
  }
  return undefined
}
