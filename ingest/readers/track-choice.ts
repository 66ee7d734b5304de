import { isJsonObject, type JsonObject } from './json.ts'

/** One transcript file of a video. */
export interface Track {
  path: string
  extension: string
  language: string | undefined
}

/** What a video's info.json says about its captions. */
export interface CaptionLists {
  /** The language spoken. */
  original: string | undefined
  manual: ReadonlySet<string>
  automatic: ReadonlySet<string>
}

export interface Skipped {
  path: string
  reason: string
}

export interface TrackChoice {
  chosen: Track | undefined
  skipped: Skipped[]
}

const formats = ['.json3', '.json', '.vtt', '.srt', '.md', '.markdown']

/**
 * Picks the one track of a video to read: the language spoken before others, people's captions before
 * automatic ones, then json3 (word times), VTT, SRT, Markdown. A machine's translation is never picked:
 * nobody said it. Without an info.json the name alone decides: no language, then English, then by letter.
 */
export function chooseTrack(tracks: readonly Track[], lists: CaptionLists | undefined): TrackChoice {
  const skipped: Skipped[] = []
  const eligible = tracks.filter((track) => {
    const translated = lists !== undefined && isMachineTranslation(track, lists)
    if (translated) skipped.push({ path: track.path, reason: 'a machine translation, not what was said' })
    return !translated
  })
  const [chosen, ...others] = eligible
    .map((track) => ({ track, rank: rankOf(track, lists) }))
    .sort((a, b) => compareRanks(a.rank, b.rank))
    .map(({ track }) => track)
  for (const other of others) {
    skipped.push({ path: other.path, reason: `${chosen?.path ?? ''} is read for the same video` })
  }
  skipped.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { chosen, skipped }
}

/** The caption lists of a parsed info.json; undefined when it has none. */
export function captionLists(info: unknown): CaptionLists | undefined {
  if (!isJsonObject(info)) return undefined
  const manual = new Set(Object.keys(objectOrEmpty(info['subtitles'])))
  const automatic = new Set(Object.keys(objectOrEmpty(info['automatic_captions'])))
  const named = typeof info['language'] === 'string' ? info['language'] : undefined
  const marked = [...automatic].find((language) => language.endsWith('-orig'))
  if (named === undefined && manual.size + automatic.size === 0) return undefined
  return { original: named ?? marked?.replace(/-orig$/, ''), manual, automatic }
}

function isMachineTranslation({ language }: Track, { original, manual, automatic }: CaptionLists): boolean {
  if (language === undefined || original === undefined) return false
  return automatic.has(language) && !manual.has(language) && !sameLanguage(language, original)
}

type Rank = readonly (number | string)[]

function rankOf({ path, extension, language }: Track, lists: CaptionLists | undefined): Rank {
  const original = lists?.original
  const spoken = language === undefined || original === undefined || sameLanguage(language, original)
  const manual = language !== undefined && lists?.manual.has(language) === true
  const automatic = !manual && language !== undefined && lists?.automatic.has(language) === true
  return [
    spoken ? 0 : 1,
    manual ? 0 : automatic ? 2 : 1,
    language === undefined ? 0 : sameLanguage(language, 'en') ? 1 : 2,
    // YouTube's own recognition rather than its translation into the same language.
    language?.endsWith('-orig') === true ? 0 : 1,
    language ?? '',
    formats.indexOf(extension),
    path,
  ]
}

function compareRanks(a: Rank, b: Rank): number {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? left
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

function sameLanguage(a: string, b: string): boolean {
  return a.split('-', 1)[0]?.toLowerCase() === b.split('-', 1)[0]?.toLowerCase()
}

function objectOrEmpty(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {}
}
