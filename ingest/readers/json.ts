import { lineOfCharacter } from './bytes-to-text.ts'
import { ReadError, type ReadErrorCode } from './read-error.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Of an unexpected character the engine only says what stands around it: where that is, when it is there once. */
function placeOfSnippet(text: string, message: string): number | undefined {
  const [, ellipsis = '', snippet] =
    /^Unexpected token '[^]*?', (\.\.\.)?"([^]*?)"(?:\.\.\.)? is not valid JSON$/.exec(message) ?? []
  if (snippet === undefined) return undefined
  if (ellipsis === '') return text.startsWith(snippet) ? 0 : undefined
  const at = text.indexOf(snippet)
  if (at === -1 || text.includes(snippet, at + 1)) return undefined
  // The character itself stands in the middle.
  return at + Math.min(10, snippet.length >> 1)
}

/** Parses JSON. @throws ReadError of the given code with the line, where the engine says the position. */
export function parseJson(text: string, file: string, code: ReadErrorCode): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const position = /at position (\d+)/.exec(message)?.[1]
    const cut = message.includes('end of JSON input')
    const at = position === undefined ? (cut ? text.length : placeOfSnippet(text, message)) : Number(position)
    throw new ReadError(code, {
      file,
      line: at === undefined ? undefined : lineOfCharacter(text, at),
      reason: cut ? 'this JSON is cut off' : 'this is not well-formed JSON',
      hint: 'Download it again.',
    })
  }
}
