import { execFileSync, spawnSync } from 'node:child_process'
import { HomeportError } from '../../core/errors.ts'

export interface UnixUser {
  name: string
  uid: number
  gid: number
}

/**
 * Who runs Postgres, which refuses root: `postgres` or else `nobody` when we are root, and undefined
 * (ourselves) otherwise.
 *
 * @throws HomeportError NO_UNPRIVILEGED_USER, exit 2.
 */
export function unprivilegedUser(): UnixUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const uid = idOf(name, '-u')
    const gid = idOf(name, '-g')
    if (uid !== undefined && gid !== undefined && uid !== 0) return { name, uid, gid }
  }
  throw new HomeportError(
    'NO_UNPRIVILEGED_USER',
    'Postgres refuses to run as root, and there is no user postgres or nobody',
    {
      hint: 'useradd --system postgres, or run this as a plain user',
      exitCode: 2,
    },
  )
}

/** Whether that user may enter a folder; a closed folder on the way there makes it false. */
export function canEnter(folder: string, user: UnixUser): boolean {
  const probe = spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', folder], {
    uid: user.uid,
    gid: user.gid,
    cwd: '/',
    stdio: 'ignore',
  })
  return probe.status === 0
}

function idOf(name: string, which: '-u' | '-g'): number | undefined {
  try {
    return Number(
      execFileSync('id', [which, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    )
  } catch {
    return undefined
  }
}
