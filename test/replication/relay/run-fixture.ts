import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { RelayStatus } from '../../../replication/relay/status-file.ts'
import { compareRows, passFence } from '../../support/oracles/equality.ts'
import type { OpsProcess } from '../../support/ops-process.ts'
import type { RelayPair } from '../../support/relay-pair.ts'
import { insertTalk } from '../support.ts'

let nextId = 1

/** Writes a few talks at home and waits until the cloud is equal. */
export async function writeAndCompare(t: Test, pair: RelayPair, what: string): Promise<void> {
  for (const end = nextId + 5; nextId < end; nextId += 1) await insertTalk(pair.primary, { id: nextId })
  await passFence(pair.primary, pair.cloud)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [], what)
}

/** SIGTERM ends it with exit code 0, and the slot is exactly where the cloud is. */
export async function endsInOrder(t: Test, pair: RelayPair, relay: OpsProcess): Promise<void> {
  t.match(await relay.terminate(), { code: 0 }, relay.stderr.slice(-2_000))
  const slot = await pair.primary.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [pair.slot],
  )
  const progress = await pair.cloud.query<{ lsn: string }>('select end_lsn::text as lsn from relay_progress')
  t.strictSame(slot.rows, progress.rows, 'the slot is exactly where the cloud is')
}

/** What the relay's status file says. */
export function status(pair: RelayPair): RelayStatus {
  return JSON.parse(readFileSync(join(pair.stateFolder, 'status.json'), 'utf8')) as RelayStatus
}
