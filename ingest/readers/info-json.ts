import { basename } from 'node:path'
import type { Chapter, SourceMetadata, Transcript, Visibility } from '../transcript.ts'
import { foldSpace, withoutLoneSurrogates } from './entities.ts'
import { isJsonObject, type JsonObject, parseJson } from './json.ts'
import { ReadError } from './read-error.ts'
import { splitTrackName } from './track-name.ts'

/** What the product uses of yt-dlp's NAME.info.json. */
export interface SourceInfo extends Omit<SourceMetadata, 'title'> {
  /** The platform's id of the video. */
  id: string | null
  title: string | null
}

/** Milliseconds fit an int4 column. */
const maxDurationSeconds = 2_147_483

/**
 * Reads yt-dlp's NAME.info.json. Every field may be missing or null; one that is there must make sense.
 * @throws ReadError MALFORMED_METADATA naming file and field
 */
export function parseSourceInfo(json: string, file: string): SourceInfo {
  const info = parseJson(json, file, 'MALFORMED_METADATA')
  if (!isJsonObject(info)) {
    throw new ReadError('MALFORMED_METADATA', { file, reason: 'it is not a JSON object' })
  }
  const fields = new Fields(info, file)
  const url = fields.url('webpage_url') ?? fields.url('original_url')
  const meeting = /zoom|teams|meet/i.test(fields.text('extractor') ?? '')
  const duration = fields.number('duration', 0, maxDurationSeconds)
  return {
    id: fields.text('id'),
    kind: meeting ? 'meeting' : url === null ? 'recording' : 'video',
    url,
    title: fields.text('title') ?? fields.text('fulltitle'),
    channel: fields.text('channel') ?? fields.text('uploader'),
    language: fields.text('language'),
    durationMs: duration === null ? null : Math.round(duration * 1000),
    publishedAt: publishedAt(fields),
    views: fields.count('view_count'),
    visibility: visibilityOf(fields.text('availability')),
    chapters: chaptersOf(info, fields),
  }
}

/**
 * What is known about a transcript's source: from its info.json, else from the transcript and the file's
 * name (`the-changelog-103.md` is "The Changelog 103", without an address, public).
 * @throws ReadError MALFORMED_METADATA naming file and field
 */
export function readSourceMetadata(
  infoJsonText: string | undefined,
  transcriptPath: string,
  transcript: Transcript,
  options: { infoPath?: string } = {},
): SourceMetadata {
  const fileName = basename(transcriptPath)
  const ownTitle = transcript.title ?? titleFromFileName(fileName)
  const language = transcript.language ?? null
  if (infoJsonText === undefined) {
    return {
      kind: 'recording',
      url: null,
      title: ownTitle,
      channel: null,
      language,
      durationMs: null,
      publishedAt: null,
      views: null,
      visibility: 'public',
      chapters: transcript.chapters,
    }
  }
  const infoFile = options.infoPath ?? `${splitTrackName(fileName).base}.info.json`
  const info = parseSourceInfo(infoJsonText, infoFile)
  return {
    kind: info.kind,
    url: info.url,
    channel: info.channel,
    durationMs: info.durationMs,
    publishedAt: info.publishedAt,
    views: info.views,
    visibility: info.visibility,
    title: info.title ?? ownTitle,
    // The language of what is indexed counts, not the one spoken, when the two differ.
    language: language ?? info.language,
    chapters: info.chapters.length > 0 ? info.chapters : transcript.chapters,
  }
}

/** A readable title: extension, language and yt-dlp's `[id]` gone, `the-changelog-103` as "The Changelog 103". */
export function titleFromFileName(fileName: string): string {
  const { base } = splitTrackName(fileName)
  const bare = foldSpace(base.replace(/\s*\[[\w-]{6,20}\]$/, '').replace(/_/g, ' ')) || base
  if (/[\s\p{Lu}]/u.test(bare)) return bare
  return (
    foldSpace(bare.replace(/[-.]+/g, ' ')).replace(/(^|\s)\p{Ll}/gu, (letter) => letter.toUpperCase()) || bare
  )
}

/** yt-dlp writes null when it does not know; everything that is neither public nor unlisted needs a login. */
function visibilityOf(availability: string | null): Visibility {
  if (availability === null || availability === 'public') return 'public'
  return availability === 'unlisted' ? 'unlisted' : 'private'
}

function publishedAt(fields: Fields): Date | null {
  const seconds = fields.number('timestamp', -62_135_596_800, 253_402_300_799)
  if (seconds !== null) return new Date(seconds * 1000)
  const day = fields.text('upload_date')
  if (day === null) return null
  const parts = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(day)
  const date = new Date(`${parts?.[1]}-${parts?.[2]}-${parts?.[3]}T00:00:00Z`)
  // 20260231 would roll over to March.
  if (parts === null || Number.isNaN(date.getTime()) || date.getUTCDate() !== Number(parts[3])) {
    throw fields.bad('upload_date', `is not a date like 20260131 (${JSON.stringify(day.slice(0, 20))})`)
  }
  return date
}

function chaptersOf(info: JsonObject, fields: Fields): Chapter[] {
  const chapters = info['chapters']
  if (chapters === undefined || chapters === null) return []
  if (!Array.isArray(chapters)) throw fields.bad('chapters', 'is not a list')
  return chapters.map((chapter: unknown, index): Chapter => {
    const name = `chapters[${index}]`
    if (!isJsonObject(chapter)) throw fields.bad(name, 'is not an object')
    const own = fields.within(chapter, `${name}.`)
    const startSeconds = own.number('start_time', 0, maxDurationSeconds)
    if (startSeconds === null) throw own.bad('start_time', 'is missing')
    return { title: own.text('title') ?? `Chapter ${index + 1}`, startMs: Math.round(startSeconds * 1000) }
  })
}

/** Typed access to the fields of one object, with errors that name file and field. */
class Fields {
  readonly #object: JsonObject
  readonly #file: string
  readonly #prefix: string

  constructor(object: JsonObject, file: string, prefix = '') {
    this.#object = object
    this.#file = file
    this.#prefix = prefix
  }

  within(object: JsonObject, prefix: string): Fields {
    return new Fields(object, this.#file, prefix)
  }

  bad(name: string, what: string): ReadError {
    return new ReadError('MALFORMED_METADATA', {
      file: this.#file,
      reason: `"${this.#prefix}${name}" ${what}`,
    })
  }

  /** Folded to one line; an empty one counts as missing. */
  text(name: string): string | null {
    const value = this.#object[name]
    if (value === undefined || value === null) return null
    if (typeof value !== 'string') throw this.bad(name, 'is not text')
    if (value.includes('\0')) throw this.bad(name, 'holds a NUL character')
    return foldSpace(withoutLoneSurrogates(value)) || null
  }

  number(name: string, least: number, most: number): number | null {
    const value = this.#object[name]
    if (value === undefined || value === null) return null
    if (typeof value !== 'number') throw this.bad(name, 'is not a number')
    if (!(value >= least && value <= most)) throw this.bad(name, `is out of range (${value})`)
    return value
  }

  count(name: string): number | null {
    const value = this.number(name, 0, Number.MAX_SAFE_INTEGER)
    if (value !== null && !Number.isInteger(value)) throw this.bad(name, `is not a whole number (${value})`)
    return value
  }

  url(name: string): string | null {
    const value = this.text(name)
    if (value === null) return null
    if (!URL.canParse(value) || !/^https?:/i.test(value)) throw this.bad(name, 'is not a web address')
    return value
  }
}
