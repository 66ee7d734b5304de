import { formatBytes } from '../../../core/amounts.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'

/** The primary has forgotten what was acknowledged: nothing but a new copy replaces a file of the spool. */
export function spoolDamaged(file: string, reason: string, cause?: unknown): HomeportError {
  return new HomeportError(
    'SPOOL_DAMAGED',
    `the spool file ${file} ${reason}; its changes were acknowledged, so the primary no longer has them`,
    {
      hint: 'ops reseed (copies all tables to the cloud anew and empties the spool)',
      ...(cause === undefined ? {} : { cause }),
    },
  )
}

/** Another program wrote it: nothing says that it is damaged. */
export function spoolOfVersion(file: string, version: number): HomeportError {
  return new HomeportError('SPOOL_UNREADABLE', `the spool file ${file} is of version ${version}`, {
    hint: 'run ops relay of the version that wrote it until the spool is empty, or ops reseed',
  })
}

/** What a failed read of a spool file stands for. */
export function explainReadError(file: string, error: unknown): HomeportError {
  if (error instanceof HomeportError) return error
  const code = errorCode(error)
  if (code === 'EACCES' || code === 'EPERM') {
    return new HomeportError('SPOOL_UNREADABLE', `the spool file ${file} may not be read by this user`, {
      hint: 'run ops relay as the user that owns the folder of RELAY_STATE_PATH',
      cause: error,
    })
  }
  return spoolDamaged(file, code === 'ENOENT' ? 'is gone' : `cannot be read (${code ?? 'unknown'})`, error)
}

/** What a failed write into the spool stands for. Nothing of the batch was acknowledged. */
export function explainWriteError(folder: string, error: unknown): unknown {
  if (error instanceof HomeportError) return error
  const code = errorCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new HomeportError(
      'SPOOL_DISK_FULL',
      `the disk of the spool in ${folder} is full; nothing more is acknowledged, the slot keeps it`,
      {
        hint: 'make room there, or put RELAY_STATE_PATH on a larger disk; the relay goes on by itself',
        cause: error,
      },
    )
  }
  if (code === undefined) return error
  return new HomeportError(
    'SPOOL_WRITE',
    `the spool in ${folder} cannot be written (${code}); nothing more is acknowledged, the slot keeps it`,
    { hint: 'check that disk, and that this user may write to RELAY_STATE_PATH', cause: error },
  )
}

/** The spool has all that it may have. */
export function spoolFull(folder: string, limit: { bytes: number; what: 'spool' | 'free' }): HomeportError {
  const why =
    limit.what === 'spool'
      ? `may hold ${formatBytes(limit.bytes)}`
      : `leaves ${formatBytes(limit.bytes)} of its disk free`
  return new HomeportError(
    'SPOOL_FULL',
    `the spool in ${folder} is full: it ${why}; nothing more is acknowledged, the slot keeps it`,
    { hint: 'let the cloud be reachable again, or put RELAY_STATE_PATH on a larger disk' },
  )
}
