import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import { systemReason } from '../readers/input-file.ts'

/** A file or folder that could not be taken in; part of the documented --json. */
export interface Failure {
  path: string
  line: number | null
  code: string
  reason: string
}

/** The failure an error stands for, or undefined when it is not about one input and has to stop the run. */
export function failureOf(error: unknown, path: string): Failure | undefined {
  if (!(error instanceof HomeportError) || !('file' in error) || !('reason' in error)) return undefined
  const { file, reason } = error
  const line = 'line' in error ? error.line : undefined
  return {
    path: typeof file === 'string' ? file : path,
    line: typeof line === 'number' ? line : null,
    code: error.code,
    reason: typeof reason === 'string' ? reason : error.message,
  }
}

/** The failure of a file that could not be opened or read to its end. */
export function unreadable(error: unknown, path: string): Failure {
  return failureOf(error, path) ?? { path, line: null, code: 'FILE_UNREADABLE', reason: systemReason(error) }
}

/**
 * The failure of a file whose rows the database does not take (a value out of range, a broken constraint, a
 * limit of the server), or undefined for any other error: the next file may well go in.
 */
export function refusedByDatabase(error: unknown, path: string): Failure | undefined {
  const code = errorCode(error)
  if (code === undefined || !/^(?:22|23|54)[0-9A-Z]{3}$/.test(code)) return undefined
  // The message of a value that does not fit (class 22) may repeat the value.
  const what = code.startsWith('22') ? 'a value does not fit' : serverMessage(error)
  return {
    path,
    line: null,
    code: 'DATABASE_REFUSED',
    reason: `the database does not take it: ${what} (${code})`,
  }
}

/** What the server said; knex puts the statement before it. */
export function serverMessage(error: unknown): string {
  const message = errorMessage(error)
  return message.slice(message.lastIndexOf(' - ') + 1).replace(/^- /, '')
}

/** `talks/a.vtt, line 12: the end lies before the start (BAD_TIME)` */
export function describeFailure({ path, line, code, reason }: Failure): string {
  return `${path}${line === null ? '' : `, line ${line}`}: ${reason} (${code})`
}

/** A text for one line of a terminal: file names and captions may hold line breaks and escape sequences. */
export function printable(text: string): string {
  return text.replace(
    /\p{Cc}|[\u2028\u2029]|\p{Bidi_Control}/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
