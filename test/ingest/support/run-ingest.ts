import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CaptionsReport } from '../../../ingest/commands/captions-run.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** The talks that are part of the repository. */
export const sampleTalks = `${repository}sample/talks`

export interface IngestRun {
  exitCode: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface IngestOptions {
  env?: Readonly<Record<string, string>>
  /** Runs it as another user. */
  uid?: number
}

/** Starts the real command as a process of its own. */
export function startIngest(
  args: readonly string[],
  { env = {}, uid }: IngestOptions = {},
): { child: ChildProcess; ended: Promise<IngestRun> } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'ingest/cli.ts', ...args], {
    cwd: repository,
    // Not the test runner's own variables: they would instrument the command.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  const run = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => (run.stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (run.stderr += text.toString()))
  const ended = new Promise<IngestRun>((resolve) => {
    child.on('close', (exitCode, signal) => resolve({ ...run, exitCode, signal }))
  })
  return { child, ended }
}

export function runIngest(args: readonly string[], options?: IngestOptions): Promise<IngestRun> {
  return startIngest(args, options).ended
}

/** Runs `ingest captions … --json` against a database and returns its report. */
export async function ingestCaptions(
  databaseUrl: string,
  args: readonly string[],
): Promise<IngestRun & { report: CaptionsReport }> {
  const run = await runIngest(['captions', ...args, '--json'], { env: { LOCAL_DATABASE_URL: databaseUrl } })
  if (run.stdout === '') throw new Error(`no report: ${run.stderr}`)
  return { ...run, report: JSON.parse(run.stdout) as CaptionsReport }
}
