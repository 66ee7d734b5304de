import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * What tells a process from a later one with the same id: its start time (and the boot it belongs to).
 * Undefined when no such process runs; a zombie does not run.
 */
export function processIdentity(pid: number): string | undefined {
  if (process.platform === 'linux') return linuxIdentity(pid)
  const started = psOutput(['-o', 'lstart=', '-p', String(pid)])
  return started === '' ? undefined : started
}

function linuxIdentity(pid: number): string | undefined {
  const fields = linuxStat(pid)
  if (fields === undefined || fields[0] === 'Z') return undefined
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return `${boot}/${fields[19]}`
}

/** The fields of /proc/PID/stat from the state on; undefined when there is no such process. */
export function linuxStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold anything, brackets too.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** What ps prints; empty when it finds nothing. */
export function psOutput(args: readonly string[]): string {
  try {
    return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}
