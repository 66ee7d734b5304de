import { explainConnectionError } from '../../../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../../../core/errors.ts'

const sqlState = /^[0-9A-Z]{5}$/
/** refused, gone, going, full; see appendix A of the PostgreSQL documentation */
const unreachableStates = /^(?:08|28|3D|57P0|53300)/

export interface StreamTarget {
  connectionString: string
  slot: string
  publication: string
}

/** Names what a connection for replication met before it streamed. The cause keeps the server's own code. */
export function explainOpenError(error: unknown, target: StreamTarget): unknown {
  if (error instanceof HomeportError) return error
  const code = errorCode(error)
  // A pooler refuses the session, or gives one in which the first replication command is a syntax error.
  if (
    code === '42601' ||
    code === '08P01' ||
    /startup parameter|replication connection/i.test(errorMessage(error))
  ) {
    return new HomeportError(
      'POOLED_CONNECTION',
      'REPLICATION_DATABASE_URL leads to a connection pooler (or something else than Postgres), which refuses replication',
      {
        hint: 'put the address of the database server itself there, usually on port 5432',
        exitCode: 2,
        cause: error,
      },
    )
  }
  return explainStreamError(error, target)
}

/** Names what ended a stream; null is an end without an error. What we do not know stays as the server said it. */
export function explainStreamError(error: unknown, target: StreamTarget): unknown {
  if (error instanceof HomeportError) return error
  if (error === null) return primaryGone('the primary ended the stream: it is shut down, or it was told to')
  const code = errorCode(error)
  const message = errorMessage(error)
  if (code === '42501') {
    return new HomeportError(
      'REPLICATION_DENIED',
      'the primary does not let the role of REPLICATION_DATABASE_URL replicate',
      { hint: 'ops setup-replication --mode relay gives it the attribute', exitCode: 2, cause: error },
    )
  }
  if (code === '42704' && message.includes('publication')) {
    return new HomeportError(
      'PUBLICATION_MISSING',
      `the primary does not know publication ${target.publication}`,
      {
        hint: 'ops setup-replication --mode relay creates it; then ops reseed, when it was there before',
        cause: error,
      },
    )
  }
  if (code === '42704') return slotGone('SLOT_MISSING', `the primary has no slot ${target.slot}`, error)
  if (code === '55000' || code === '58P01') {
    return slotGone(
      'SLOT_LOST',
      `slot ${target.slot} can no longer be read: log that it needs is gone`,
      error,
    )
  }
  if (code !== undefined && sqlState.test(code) && !unreachableStates.test(code)) return error
  const explained = explainConnectionError(error, { ...target, applicationName: '' })
  return primaryGone(explained.message, explained.hint, error)
}

export function primaryGone(message: string, hint?: string, cause?: unknown): HomeportError {
  return new HomeportError('PRIMARY_UNREACHABLE', message, {
    hint: hint ?? 'see that the primary runs; the relay goes on where it was',
    ...(cause === undefined ? {} : { cause }),
  })
}

function slotGone(code: string, message: string, cause: unknown): HomeportError {
  return new HomeportError(code, message, {
    hint: 'ops reseed copies everything again, from a new slot',
    cause,
  })
}
