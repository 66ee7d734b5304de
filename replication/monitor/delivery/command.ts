import { spawn } from 'node:child_process'
import { bareEnvironment } from '../../../core/config.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'
import { describeNotice, type Notice, type Way } from './notice.ts'

export interface CommandOptions {
  /** program and arguments: no shell looks at them */
  words: readonly string[]
  /** killed after this time (default 30 s) */
  timeoutMs?: number
}

/** Starts a program for each alert, with {@link Notice} as JSON on its stdin and the main facts in its environment. */
export function commandWay({ words, timeoutMs = 30_000 }: CommandOptions): Way {
  return {
    name: 'command',
    deliver: (notice, signal) => runCommand({ words, timeoutMs, notice, ...(signal && { signal }) }),
  }
}

interface Run extends Required<CommandOptions> {
  notice: Notice
  signal?: AbortSignal
}

/** @throws HomeportError COMMAND_FAILED. */
function runCommand({ words, timeoutMs, notice, signal }: Run): Promise<void> {
  const [program = '', ...args] = words
  const failed = (what: string): HomeportError => new HomeportError('COMMAND_FAILED', `${program} ${what}`)
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: bareEnvironment(factsOf(notice)),
      stdio: ['pipe', 'ignore', 'ignore'],
      // A group of its own, so that what it has started goes with it.
      detached: true,
    })
    const kill = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch (error) {
        // It has just ended by itself.
        if (errorCode(error) !== 'ESRCH') reject(failed(`cannot be ended: ${errorCode(error) ?? 'unknown'}`))
      }
    }
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      kill()
    }, timeoutMs)
    signal?.addEventListener('abort', kill, { once: true })
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', kill)
    }
    child.once('error', (error) => {
      end()
      reject(failed(`cannot be started: ${errorCode(error) ?? 'unknown'}`))
    })
    child.once('exit', (code, killedBy) => {
      end()
      if (code === 0) resolve()
      else if (isLate) reject(failed(`was killed after ${timeoutMs / 1000} s`))
      else reject(failed(code === null ? `was ended by ${killedBy ?? 'a signal'}` : `exits with ${code}`))
    })
    // It need not read what it is told.
    child.stdin.on('error', () => undefined)
    child.stdin.end(`${JSON.stringify(notice)}\n`)
  })
}

function factsOf(notice: Notice): Record<string, string> {
  const { kind, alert } = notice
  return {
    HOMEPORT_ALERT_KIND: kind,
    HOMEPORT_ALERT_CODE: alert.code,
    HOMEPORT_ALERT_SIDE: alert.side,
    HOMEPORT_ALERT_SEVERITY: alert.severity,
    HOMEPORT_ALERT_TABLE: alert.table ?? '',
    HOMEPORT_ALERT_SINCE: alert.since,
    HOMEPORT_ALERT_TEXT: describeNotice(notice),
  }
}
