import { execFile } from 'node:child_process'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../../core/cli.ts'
import { settings as known } from '../../../core/config.ts'
import { loadCommands } from '../../../ops/commands/all.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))

export interface Outcome {
  exitCode: number
  stdout: string
  stderr: string
}

type Settings = Readonly<Record<string, string>>

class Collected extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** Runs `ops ...` in this process, one at a time, with these settings and no others. */
export async function ops(settings: Settings, ...argv: string[]): Promise<Outcome> {
  for (const name of Object.keys(known)) delete process.env[name]
  Object.assign(process.env, settings)
  const stdout = new Collected()
  const stderr = new Collected()
  const description = 'Operate Homeport'
  const exitCode = await runProgram({
    name: 'ops',
    description,
    commands: await loadCommands(argv),
    argv,
    stdout,
    stderr,
  })
  return { exitCode, stdout: stdout.text, stderr: stderr.text }
}

/** The same as a process of its own, as a person starts it. */
export function opsProcess(settings: Settings, ...argv: string[]): Promise<Outcome> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...settings }
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', 'ops/cli.ts', ...argv],
      { cwd: repository, env },
      (_, stdout, stderr) => resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    )
    child.stdin?.end()
  })
}
