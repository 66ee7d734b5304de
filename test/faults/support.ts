import type { Test } from 'tap'
import type { OpsProcess } from '../support/ops-process.ts'
import type { RelayPair } from '../support/relay-pair.ts'
import { queryRows } from '../support/databases.ts'

/** `npm run test:faults`: everything, with every seed; within `npm test` a quick part of it. */
export const isFull = process.env['HOMEPORT_FAULTS'] === 'full'

/** The seeds to run: those that were asked for, as `17` or `101-200`, or the first ones. */
export function seeds(count: { quick: number; full: number }): number[] {
  const asked = process.env['HOMEPORT_SEED']?.split('-').map(Number)
  const [first = 1, last = first] = asked ?? [1, isFull ? count.full : count.quick]
  return Array.from({ length: last - first + 1 }, (_, at) => first + at)
}

/** What the error line of `--json` says. */
interface ErrorLine {
  error: { code: string; message: string; hint?: string }
}

/**
 * The relay ends by itself with this code, a message that fits and a hint, and (unless it never got that
 * far) has left the same in the cloud for `ops status`. Start it with --json.
 */
export async function stopsWith(
  t: Test,
  pair: RelayPair,
  relay: OpsProcess,
  expected: { code: string; message: RegExp; exitCode?: number; isReported?: boolean },
): Promise<void> {
  t.equal(await relay.ends(), expected.exitCode ?? 1, `exit code of ${expected.code}`)
  const line = relay.stderr.split('\n').find((text) => text.startsWith('{"error"'))
  const { error } = JSON.parse(line ?? '{"error":{}}') as ErrorLine
  t.equal(error.code, expected.code, relay.stderr.slice(-2_000))
  t.match(error.message, expected.message)
  // What nobody foresaw has no advice.
  if (expected.code !== 'UNEXPECTED') t.type(error.hint, 'string', 'says what helps')
  if (expected.isReported === false) return
  const stopped = await queryRows<{ code: string | null; message: string | null }>(
    pair.cloudUrl,
    'select stop_code as code, stop_message as message from relay_progress',
  )
  t.match(stopped, [{ code: expected.code, message: expected.message }], 'the cloud knows')
}
