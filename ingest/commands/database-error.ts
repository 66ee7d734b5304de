import { describeServer } from '../../core/db.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { serverMessage } from '../store/failure.ts'

const advice: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  '53100': ['its disk is full', 'make room, then run this again: it goes on where it stopped'],
  '42501': ['this role may not write there', 'use the owner of the tables in LOCAL_DATABASE_URL'],
  '42P01': ['it lacks a table', 'ops migrate'],
  '42703': ['it lacks a column', 'ops migrate'],
  '25006': ['it takes no writes', 'put the primary into LOCAL_DATABASE_URL'],
}

/** What went wrong with the primary in the middle of the work, for a person, without any row's values. */
export function explainDatabaseError(error: unknown, connectionString: string): unknown {
  if (error instanceof HomeportError || !(error instanceof Error)) return error
  const code = errorCode(error)
  const where = describeServer(connectionString)
  if (isLostConnection(code, error.message)) {
    return new HomeportError('DATABASE_LOST', `the connection to ${where} was lost`, {
      hint: 'run this again when it is back: it goes on where it stopped',
      cause: error,
    })
  }
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return error
  const [what, hint] = advice[code] ?? [serverMessage(error), 'run this again; nothing was half written']
  return new HomeportError('DATABASE_FAILED', `${where}: ${what} (${code})`, { hint, cause: error })
}

function isLostConnection(code: string | undefined, message: string): boolean {
  if (code !== undefined && /^(?:57P0|08|ECONN|EPIPE|ETIMEDOUT)/.test(code)) return true
  return /Connection terminated|Client has encountered a connection error/.test(message)
}
