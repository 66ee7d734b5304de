import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { HomeportError } from '../../core/errors.ts'
import type { UnixUser } from './unprivileged-user.ts'

export interface PostgresToolCall {
  binDir: string
  tool: string
  args: readonly string[]
  user: UnixUser | undefined
}

/**
 * Runs initdb, pg_ctl and the like as the unprivileged user and returns its exit code and all it said.
 *
 * @throws HomeportError POSTGRES_TOOL, exit 2, when that user cannot run it.
 */
export function postgresTool(call: PostgresToolCall): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(call.binDir, call.tool), call.args, {
      // A place every user may be in; the tools look at their working folder.
      cwd: '/',
      // Nothing of ours: PGDATA, PGOPTIONS or a locale would change what the tools do.
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C at the terminal is for us: it must not cut off a stop, or an initdb in its middle.
      detached: true,
      ...(call.user === undefined ? {} : { uid: call.user.uid, gid: call.user.gid }),
    })
    let output = ''
    child.stdout.on('data', (part) => (output += String(part)))
    child.stderr.on('data', (part) => (output += String(part)))
    child.once('error', (cause) => {
      const who = call.user === undefined ? '' : ` as user ${call.user.name}`
      reject(
        new HomeportError('POSTGRES_TOOL', `${join(call.binDir, call.tool)} cannot be run${who}`, {
          hint: 'check that this user may enter every folder of that path',
          exitCode: 2,
          cause,
        }),
      )
    })
    // Not 'close': a server that pg_ctl started keeps what it inherited open.
    child.once('exit', (code) => setImmediate(() => resolve({ code: code ?? 1, output })))
  })
}
