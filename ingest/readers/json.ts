import { lineOfCharacter } from './bytes-to-text.ts'
import { ReadError, type ReadErrorCode } from './read-error.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Parses JSON. @throws ReadError of the given code with the line, where the engine says the position. */
export function parseJson(text: string, file: string, code: ReadErrorCode): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const position = /at position (\d+)/.exec(message)?.[1]
    const cut = message.includes('end of JSON input')
    const at = position === undefined ? (cut ? text.length : undefined) : Number(position)
    throw new ReadError(code, {
      file,
      line: at === undefined ? undefined : lineOfCharacter(text, at),
      reason: cut ? 'this JSON is cut off' : 'this is not well-formed JSON',
      hint: 'Download it again.',
    })
  }
}
