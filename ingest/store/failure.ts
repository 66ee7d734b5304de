import { HomeportError } from '../../core/errors.ts'
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

/** `talks/a.vtt, line 12: the end lies before the start (BAD_TIME)` */
export function describeFailure({ path, line, code, reason }: Failure): string {
  return `${path}${line === null ? '' : `, line ${line}`}: ${reason} (${code})`
}
