import type { Client } from 'pg'
import { HomeportError } from '../../../core/errors.ts'
import { parseLsn } from '../../../core/lsn.ts'
import { literal, loadSql, renderSql } from '../../../core/sql.ts'
import type { RelaySlot } from '../primary-facts.ts'
import { judgeSlot } from '../start-checks.ts'

/** The primary as a replication session finds it, before it streams. */
export interface StreamStart {
  systemIdentifier: string
  timeline: number
  /** written and flushed so far */
  walLsn: string
  serverVersion: number
  /** 0 is never */
  walSenderTimeoutMs: number
  database: string
  slot: RelaySlot | null
}

/** Asks on the replication session itself; a pooler that only looks like a server fails at the first command. */
export async function readStreamStart(client: Client, slot: string): Promise<StreamStart> {
  const system = await client.query<{ systemid: string; timeline: number; xlogpos: string }>(
    'IDENTIFY_SYSTEM',
  )
  await client.query(loadSql('relay/pin-output'))
  const { rows } = await client.query<Omit<StreamStart, 'systemIdentifier' | 'timeline' | 'walLsn'>>(
    renderSql('relay/stream-start', { slot: literal(slot) }),
  )
  const [identity] = system.rows
  const [facts] = rows
  if (identity === undefined || facts === undefined) {
    throw new HomeportError('CATALOGUE', 'the primary gave no answer about itself')
  }
  return {
    ...facts,
    systemIdentifier: identity.systemid,
    timeline: Number(identity.timeline),
    walLsn: identity.xlogpos,
  }
}

/**
 * Where the stream begins: at `startLsn`, or where the slot is for 0/0. Postgres takes any position without a word, goes on
 * from the slot's when that is further, and skips everything when the log has not come so far.
 *
 * @throws HomeportError as judgeSlot, SLOT_RECREATED, PRIMARY_REWOUND.
 */
export function chooseStart(start: StreamStart, slotName: string, startLsn: string): bigint {
  const problem = judgeSlot(start.slot, slotName, start.database)
  if (problem !== null) throw problem
  const confirmedLsn = parseLsn(start.slot?.confirmedLsn ?? '0/0')
  const wanted = parseLsn(startLsn)
  if (wanted === 0n) return confirmedLsn
  if (wanted < confirmedLsn) {
    const message = `slot ${slotName} begins at ${start.slot?.confirmedLsn}, past ${startLsn} where the relay must go on`
    throw new HomeportError('SLOT_RECREATED', message, {
      hint: 'ops reseed copies everything again, from a new slot',
    })
  }
  if (wanted > parseLsn(start.walLsn)) {
    const message = `the relay must go on at ${startLsn}, and the primary has only written up to ${start.walLsn}: it was restored to an older state`
    throw new HomeportError('PRIMARY_REWOUND', message, {
      hint: 'compare both sides before anything is thrown away; then ops reseed',
    })
  }
  return wanted
}
