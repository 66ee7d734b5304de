import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../../..', import.meta.url))

export interface Outcome {
  exitCode: number
  stdout: string
  stderr: string
}

/** Runs `ops ...` as its own process, with these settings and no others. */
export function ops(settings: Readonly<Record<string, string>>, ...words: string[]): Promise<Outcome> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...settings }
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', 'ops/cli.ts', ...words],
      { cwd: repository, env },
      (_, stdout, stderr) => resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    )
    child.stdin?.end()
  })
}
