import { createInterface } from 'node:readline/promises'
import { HomeportError } from '../../core/errors.ts'

/**
 * Asks for a word on the terminal before something is destroyed.
 * @throws HomeportError NOT_CONFIRMED, exit 2, for any other answer and where nobody can be asked.
 */
export async function confirm(options: {
  word: string
  /** what happens, as a sentence */
  what: string
  /** what did not happen then, as a clause */
  refusal: string
  /** the command that does not ask */
  hint: string
  signal: AbortSignal
}): Promise<void> {
  const { word, what, hint, signal } = options
  const refusal = new HomeportError('NOT_CONFIRMED', options.refusal, { hint, exitCode: 2 })
  if (!process.stdin.isTTY) throw refusal
  const questions = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await questions.question(`${what} Type "${word}" to go on: `, { signal })
    if (answer.trim() !== word) throw refusal
  } finally {
    questions.close()
  }
}
