import type { Test } from 'tap'
import type { Finding } from '../../../replication/finding.ts'
import { describeFix, type SchemaDifference } from '../../../replication/schema-difference.ts'
import { ops, type Outcome } from '../../ops/commands/support.ts'

/** What an operator reads: what is wrong, and what to do. */
export interface Said {
  code: string
  message: string
  fix: string
}

/** One cause that an operator meets, and what the product makes of it. */
export interface Cause {
  name: string
  /** what happens; done for real unless the cause is judged from `facts` */
  make?: () => Promise<unknown>
  /** the command that the operator runs; none for what cannot be made here and is judged from facts */
  run?: { words: readonly string[]; settings: Readonly<Record<string, string>> }
  facts?: () => readonly Finding[]
  code: string
  message: RegExp
  /** the command, statement or setting that puts it right */
  fix: RegExp
  exitCode?: number
  undo?: () => Promise<unknown>
}

/** Makes a cause, asks as the operator would, and takes it back. */
export async function meet(t: Test, cause: Cause): Promise<Said | undefined> {
  await cause.make?.()
  try {
    const { said, exitCode, text } = await ask(cause)
    const found = said.find((one) => one.code === cause.code && cause.message.test(one.message))
    if (found === undefined) {
      t.fail(`${cause.name}: ${cause.code} ${cause.message.source} is not among what was said`, { text })
      return undefined
    }
    t.match(found.fix, cause.fix, `${cause.name}: the command`)
    if (cause.exitCode !== undefined) t.equal(exitCode, cause.exitCode, `${cause.name}: exit code`)
    return found
  } finally {
    await cause.undo?.()
  }
}

interface Asked {
  said: Said[]
  exitCode: number
  text: string
}

async function ask(cause: Cause): Promise<Asked> {
  if (cause.run === undefined) {
    const said = (cause.facts?.() ?? []).map(({ code, message, fix }) => ({ code, message, fix }))
    return { said, exitCode: 0, text: JSON.stringify(said) }
  }
  const { exitCode, stdout, stderr } = await runInTime(cause.run.settings, ...cause.run.words, '--json')
  return { said: saidBy(stdout, stderr), exitCode, text: stdout + stderr }
}

/** Runs `ops` here; one that does not end by itself, as a relay that notices nothing, is told to. */
export async function runInTime(
  settings: Readonly<Record<string, string>>,
  ...words: string[]
): Promise<Outcome> {
  const limit = setTimeout(() => process.emit('SIGTERM', 'SIGTERM'), 60_000)
  try {
    return await ops({ ...settings, LOG_LEVEL: 'silent' }, ...words)
  } finally {
    clearTimeout(limit)
  }
}

interface Answer {
  findings?: Finding[]
  warnings?: Finding[]
  differences?: SchemaDifference[]
}

/** An error on stderr, or the findings and differences of an answer. */
function saidBy(stdout: string, stderr: string): Said[] {
  const line = stderr.split('\n').find((text) => text.startsWith('{"error"'))
  if (line !== undefined) {
    const { error } = JSON.parse(line) as { error: { code: string; message: string; hint: string | null } }
    return [{ code: error.code, message: error.message, fix: error.hint ?? '' }]
  }
  const answer = JSON.parse(stdout === '' ? '{}' : stdout) as Answer
  return [
    ...[...(answer.findings ?? []), ...(answer.warnings ?? [])],
    ...(answer.differences ?? []).map((one) => ({ ...one, fix: describeFix(one.fix) })),
  ].map(({ code, message, fix }) => ({ code, message, fix }))
}
