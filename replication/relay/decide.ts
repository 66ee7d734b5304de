import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'

/**
 * What the relay does after an error:
 * - `again`: the same batch once more the same way; the cloud was busy, full, or two transactions met;
 * - `reconnect`: the way there is broken; a new connection, by the other transport when this goes on;
 * - `stop`: no repetition helps; the process ends and says why.
 */
export type Decision = 'again' | 'reconnect' | 'stop'

export interface DecideContext {
  /** this way has worked since the process started, or another is left to try: a password that is wrong from the start stays wrong */
  hasWorked: boolean
}

/** Errors of ours that say the way is broken. Every other one of ours is a stop. */
const reconnecting: ReadonlySet<string> = new Set([
  'DATABASE_UNREACHABLE',
  'PRIMARY_UNREACHABLE',
  'CLOUD_UNREACHABLE',
  'CLOUD_READ_ONLY',
  'GATEWAY_UNREACHABLE',
  'STREAM_SILENT',
  'SLOT_STILL_HELD',
])

/** By SQLSTATE (PostgreSQL, appendix A); the first that fits decides, and what fits none is a stop. */
const bySqlState: readonly (readonly [RegExp, Decision | 'refused'])[] = [
  // a password, a role, a database that is not there: an outage only where it has worked before
  [/^28|^3D000/, 'refused'],
  // the connection failed, the server goes away or became a standby, or has no free connection
  [/^08|^57P0|^53300|^25006|^25P0[345]/, 'reconnect'],
  // serialization and deadlock, locks, cancelled by a timeout, no space or memory, files of the server
  [/^40|^55P03|^55006|^57014|^53|^58|^XX000/, 'again'],
]

const socketCodes =
  /^(?:ECONN\w+|EPIPE|ETIMEDOUT|EHOST\w+|ENET\w+|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|UND_ERR_\w+|ERR_STREAM_PREMATURE_CLOSE)$/
const certificateCodes =
  /^(?:CERT_\w+|ERR_TLS_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_\w+|UNABLE_TO_\w+)$/

/** What the driver throws without a code when a connection breaks under it. */
const brokenConnection =
  /connection terminated|connection ended|timeout|not queryable|socket hang ?up|other side closed|fetch failed/i

/** What to do after an error of one side; pure. Anything nobody foresaw is a stop. */
export function decide(error: unknown, context: DecideContext): Decision {
  const refused: Decision = context.hasWorked ? 'reconnect' : 'stop'
  const code = errorCode(error)
  if (error instanceof HomeportError) {
    if (isRefusal(error)) return refused
    return reconnecting.has(error.code) ? 'reconnect' : 'stop'
  }
  if (isRefusal(error)) return refused
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !socketCodes.test(code)) {
    const found = bySqlState.find(([pattern]) => pattern.test(code))?.[1] ?? 'stop'
    return found === 'refused' ? refused : found
  }
  if (code !== undefined) return socketCodes.test(code) ? 'reconnect' : 'stop'
  return brokenConnection.test(errorMessage(error)) ? 'reconnect' : 'stop'
}

/** Whether the other side was there and did not let us in: a login, a key or a certificate that is not good. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof HomeportError) {
    return error.code === 'GATEWAY_REFUSED' || (reconnecting.has(error.code) && isRefusal(error.cause))
  }
  const code = errorCode(error)
  return code !== undefined && (/^28|^3D000/.test(code) || certificateCodes.test(code))
}

/** A refusal as the mistake in a setting that it is where nothing has worked yet; every other error as it was. */
export function nameRefusal(error: HomeportError, setting: string): HomeportError {
  if (!isRefusal(error) || error.code === 'GATEWAY_REFUSED') return error
  return new HomeportError(error.code, `${setting}: ${error.message}`, {
    hint: (error.hint ?? 'correct the URL').replace('the URL', setting),
    exitCode: 2,
    cause: error.cause,
  })
}

/**
 * The error the process ends with. An error of ours stays as it is; one of a server is named by its
 * SQLSTATE, and by its text only where that names objects and never values.
 */
export function explainStop(error: unknown, side: 'primary' | 'cloud'): HomeportError {
  if (error instanceof HomeportError) return error
  const code = errorCode(error)
  const setup = 'ops setup-replication --mode relay gives the roles what they need'
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) {
    return new HomeportError('UNEXPECTED', `the relay failed: ${errorMessage(error)}`, {
      hint: 'nothing is lost: ops relay goes on from where the cloud is; if it ends here again, its log says where',
      cause: error,
    })
  }
  const text = /^(?:28|3D|42)/.test(code) ? `: ${errorMessage(error)}` : ''
  const hint = code === '42501' ? setup : `look up SQLSTATE ${code}, and at the log of the ${side}`
  return new HomeportError(
    side === 'cloud' ? 'CLOUD_REFUSED' : 'PRIMARY_REFUSED',
    `the ${side} refuses with SQLSTATE ${code}${text}`,
    { hint, cause: error },
  )
}
