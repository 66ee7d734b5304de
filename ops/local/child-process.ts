import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { HomeportError } from '../../core/errors.ts'
import { processIdentity } from '../../core/process-identity.ts'
import { endProcess } from './processes.ts'

export interface ChildOptions {
  /** Names the record in `runFolder` and the child in messages: `api`. One child a name. */
  name: string
  /** The TypeScript file to run. */
  script: string
  args?: readonly string[]
  /** The child's whole environment. */
  environment: Readonly<Record<string, string | undefined>>
  /** Where the records of running children lie: DATA/run. */
  runFolder: string
  onStdoutLine?: (line: string) => void
  onStderrLine?: (line: string) => void
}

export interface RunningChild {
  name: string
  pid: number
  readonly ended: boolean
  /** Settles when the child has ended, on whatever ground. */
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** SIGTERM, and SIGKILL when it still runs after `deadlineMs` (default 5 s). Returns when it is gone. */
  stop(deadlineMs?: number): Promise<void>
}

interface ChildRecord {
  name: string
  pid: number
  identity: string
}

/**
 * Starts a TypeScript file in a process of its own, which ends when this one does, and records it in
 * `runFolder`, so that the next start can end it should both of these fail. Not for messages: the channel
 * only ties the two together.
 *
 * @throws HomeportError CHILD_START when the process cannot be made.
 */
export async function startChild(options: ChildOptions): Promise<RunningChild> {
  const child = fork(options.script, options.args ?? [], {
    execArgv: [
      '--import',
      import.meta.resolve('tsx'),
      '--import',
      new URL('./exit-with-parent.ts', import.meta.url).href,
    ],
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A group of its own: Ctrl-C reaches the parent, which stops its children in order.
    detached: true,
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const pid = await spawned(child, options.name)
  const identity = processIdentity(pid)
  const record = join(options.runFolder, `${options.name}.json`)
  if (identity !== undefined) writeRecord(record, { name: options.name, pid, identity })
  void exited.then(() => rmSync(record, { force: true }))
  forwardLines(child.stdout, options.onStdoutLine)
  forwardLines(child.stderr, options.onStderrLine)
  return {
    name: options.name,
    pid,
    get ended() {
      return child.exitCode !== null || child.signalCode !== null
    },
    exited,
    stop: async (deadlineMs = 5_000) => {
      if (identity !== undefined) await endProcess(pid, identity, deadlineMs)
      await exited
    },
  }
}

/**
 * Ends what an earlier run that was killed left running, by the records in `runFolder`, and returns the
 * names. A process that merely has a recorded id by now is left alone.
 */
export async function endLeftovers(runFolder: string, deadlineMs = 5_000): Promise<string[]> {
  mkdirSync(runFolder, { recursive: true })
  const ended: string[] = []
  for (const file of readdirSync(runFolder).filter((name) => name.endsWith('.json'))) {
    const record = readRecord(join(runFolder, file))
    if (record !== undefined && (await endProcess(record.pid, record.identity, deadlineMs)))
      ended.push(record.name)
    rmSync(join(runFolder, file), { force: true })
  }
  return ended
}

function spawned(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child.pid ?? 0))
    child.once('error', (cause) => {
      reject(new HomeportError('CHILD_START', `${name} could not be started`, { cause }))
    })
  })
}

function writeRecord(file: string, record: ChildRecord): void {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(record)}\n`)
  renameSync(`${file}.new`, file)
}

// A record that was cut off names nobody.
function readRecord(file: string): ChildRecord | undefined {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as Partial<ChildRecord>
    const { name, pid, identity } = value
    return name === undefined || pid === undefined || identity === undefined
      ? undefined
      : { name, pid, identity }
  } catch {
    return undefined
  }
}

function forwardLines(
  stream: NodeJS.ReadableStream | null,
  onLine: ((line: string) => void) | undefined,
): void {
  if (stream === null) return
  if (onLine === undefined) stream.resume()
  else createInterface({ input: stream }).on('line', onLine)
}
