import { extname } from 'node:path'

export interface TrackName {
  /** The name without extension and language: what all tracks of one video share. */
  base: string
  /** The extension in lower case, with its point. */
  extension: string
  /** As yt-dlp writes it: `en`, `pt-BR`, `en-orig`. Undefined when the name carries none. */
  language: string | undefined
}

const languageNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' })

/**
 * Takes a file name `NAME.<language>.<extension>` apart. Two-letter codes (and `en-US`, `en-orig`)
 * count when they are a language's; three letters (`NAME.one.srt`) only when `isKnownBase` knows
 * another file of the name before them, because they are more often a word.
 */
export function splitTrackName(
  fileName: string,
  isKnownBase: (base: string) => boolean = () => false,
): TrackName {
  const extension = extname(fileName)
  const stem = fileName.slice(0, fileName.length - extension.length)
  const parts = /^(.+)\.([a-z]{2,3})((?:-[A-Za-z0-9]{2,8})*)$/.exec(stem)
  const name: TrackName = { base: stem, extension: extension.toLowerCase(), language: undefined }
  if (parts === null) return name
  const [, base = '', code = '', rest = ''] = parts
  if (!isLanguage(code) || (code.length === 3 && rest === '' && !isKnownBase(base))) return name
  return { ...name, base, language: code + rest }
}

/** The language in a file's name, less yt-dlp's `-orig`. */
export function languageOfFile(fileName: string): string | undefined {
  return splitTrackName(fileName).language?.replace(/-orig$/, '')
}

function isLanguage(code: string): boolean {
  return languageNames.of(code) !== undefined
}
