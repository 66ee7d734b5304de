import { HomeportError } from '../../core/errors.ts'

export type ReadErrorCode =
  | 'FILE_UNREADABLE'
  | 'FILE_TOO_LARGE'
  | 'FOLDER_UNREADABLE'
  | 'EMPTY_FILE'
  | 'BINARY_FILE'
  | 'LINE_TOO_LONG'
  | 'NOT_A_TRANSCRIPT'
  | 'MALFORMED_TRANSCRIPT'
  | 'BAD_TIME'
  | 'NO_SPEECH'
  | 'MALFORMED_METADATA'

export interface ReadErrorOptions {
  file: string
  reason: string
  /** Counted from 1; left out where the format has no lines (one long line of JSON) or nothing was read. */
  line?: number | undefined
  hint?: string
  cause?: unknown
}

/** A file that could not be read, named with its line (where there is one) and the reason. */
export class ReadError extends HomeportError {
  readonly file: string
  readonly line: number | undefined
  readonly reason: string

  constructor(code: ReadErrorCode, options: ReadErrorOptions) {
    const where = options.line === undefined ? options.file : `${options.file}, line ${options.line}`
    super(code, `${where}: ${options.reason}`, {
      ...(options.hint === undefined ? {} : { hint: options.hint }),
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    })
    this.name = 'ReadError'
    this.file = options.file
    this.line = options.line
    this.reason = options.reason
  }
}
