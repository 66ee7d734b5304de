import { ReadError } from './read-error.ts'

/** 18 hours of speech in one paragraph; a longer line is not a transcript's, and would cost memory to take apart. */
export const maxLineCharacters = 1024 * 1024

/** Walks a text line by line (LF, CRLF or CR), without a list of all of them. */
export class LineCursor {
  /** Of the line last returned, counted from 1. */
  number = 0
  readonly #text: string
  readonly #file: string
  readonly #hasBareCr: boolean
  #nextCr = -1
  #at = 0

  constructor(text: string, file: string) {
    this.#text = text
    this.#file = file
    this.#hasBareCr = /\r(?!\n)/.test(text)
  }

  /** The next line without its end, or undefined. @throws ReadError LINE_TOO_LONG */
  next(): string | undefined {
    const text = this.#text
    const from = this.#at
    if (from > text.length || (from === text.length && from > 0)) return undefined
    this.number += 1
    let end = text.indexOf('\n', from)
    if (end === -1) end = text.length
    let resume = end + 1
    if (this.#hasBareCr) {
      // Kept between lines: looking for a far one from every line would be quadratic.
      if (this.#nextCr < from) {
        const found = text.indexOf('\r', from)
        this.#nextCr = found === -1 ? text.length : found
      }
      const cr = this.#nextCr
      if (cr < end) {
        end = cr
        resume = text.charCodeAt(cr + 1) === 10 ? cr + 2 : cr + 1
      }
    } else if (end > from && text.charCodeAt(end - 1) === 13) end -= 1
    this.#at = resume
    if (end - from > maxLineCharacters) {
      throw new ReadError('LINE_TOO_LONG', {
        file: this.#file,
        line: this.number,
        reason: `the line has ${end - from} characters, more than the ${maxLineCharacters} a line of speech may have`,
        hint: 'Check that it is a transcript; give each cue or paragraph a line of its own.',
      })
    }
    return text.slice(from, end)
  }
}
