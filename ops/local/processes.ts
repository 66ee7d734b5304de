import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../../core/errors.ts'
import { linuxStat, processIdentity, psOutput } from '../../core/process-identity.ts'

/** The id of the process that started another one, or took it over; undefined when there is no such process. */
export function parentOf(pid: number): number | undefined {
  const text =
    process.platform === 'linux' ? linuxStat(pid)?.[1] : psOutput(['-o', 'ppid=', '-p', String(pid)])
  return text === undefined || text.trim() === '' ? undefined : Number(text)
}

/** The ids of the processes whose command line `wanted` accepts. */
export function findProcesses(wanted: (commandLine: string) => boolean): number[] {
  return commandLines()
    .filter((each) => wanted(each.commandLine))
    .map((each) => each.pid)
}

function commandLines(): { pid: number; commandLine: string }[] {
  // A minimal Linux has no ps.
  if (process.platform === 'linux') {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), commandLine: linuxCommandLine(name) }))
  }
  return psOutput(['-A', '-o', 'pid=,args='])
    .split('\n')
    .flatMap((line) => {
      const match = /^\s*(\d+)\s+(.*)$/.exec(line)
      return match === null ? [] : [{ pid: Number(match[1]), commandLine: match[2] ?? '' }]
    })
}

/** The command line of a process, its arguments joined by spaces; empty when there is no such process. */
export function commandLineOf(pid: number): string {
  if (process.platform === 'linux') return linuxCommandLine(String(pid))
  return psOutput(['-o', 'args=', '-p', String(pid)])
}

function linuxCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

/** Sends a signal; false when the process is gone already. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false
    throw error
  }
}

/**
 * Ends exactly the process that `identity` names: SIGTERM, and SIGKILL when it still runs after
 * `deadlineMs`. A process that has the id but not the identity is left alone. False when it was gone.
 */
export async function endProcess(pid: number, identity: string, deadlineMs: number): Promise<boolean> {
  const runs = () => processIdentity(pid) === identity
  if (!runs()) return false
  signalProcess(pid, 'SIGTERM')
  if (!(await goneWithin(runs, deadlineMs))) {
    signalProcess(pid, 'SIGKILL')
    await goneWithin(runs, 5_000)
  }
  return true
}

async function goneWithin(runs: () => boolean, deadlineMs: number): Promise<boolean> {
  const end = Date.now() + deadlineMs
  while (runs()) {
    if (Date.now() > end) return false
    await sleep(25)
  }
  return true
}
