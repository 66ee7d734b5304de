import { join } from 'node:path'
import type { Test } from 'tap'
import type pg from 'pg'
import { connect } from '../../../../core/db.ts'
import { createLog } from '../../../../core/log.ts'
import { decodeMessage } from '../../../../replication/pgoutput/decode.ts'
import type { PgoutputMessage } from '../../../../replication/pgoutput/messages.ts'
import type { Batch, BatchPart } from '../../../../replication/relay/batch.ts'
import {
  openReplicationStream,
  type BatchLimits,
  type ReplicationStream,
  type StreamOptions,
} from '../../../../replication/relay/stream/replication-stream.ts'
import { createDatabase, queryRows, uniqueName } from '../../../support/databases.ts'

export const anything: BatchLimits = { maxRows: 1_000_000, maxBytes: 1 << 30 }
export const oneTransaction: BatchLimits = { maxRows: 0, maxBytes: 0 }
const log = createLog({ name: 'test', level: 'silent' })

/** A primary with table `notes (id, words)`, published, and a slot that keeps what is written to it. */
export interface Published {
  url: string
  slot: string
  publication: string
  db: pg.Client
  /** a session of its own */
  session(): Promise<pg.Client>
  slotLsn(): Promise<string>
  open(options?: Partial<StreamOptions>): Promise<ReplicationStream>
}

export async function publishNotes(t: Test): Promise<Published> {
  return publishTables(t, await createDatabase(t, 'primary', { migrate: false }))
}

/** The same on a server of the test's own. */
export async function publishTables(t: Test, url: string): Promise<Published> {
  const slot = uniqueName('stream')
  const publication = 'With, "quotes"'
  const session = async (): Promise<pg.Client> => {
    const client = await connect({ connectionString: url, applicationName: 'homeport test' })
    t.teardown(() => client.end().catch(() => undefined))
    return client
  }
  const db = await session()
  await db.query('create table notes (id int primary key, words text)')
  await db.query(`create publication "With, ""quotes""" for table notes`)
  await db.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  return {
    url,
    slot,
    publication,
    db,
    session,
    slotLsn: async () => {
      const { rows } = await db.query<{ lsn: string }>(
        `select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1`,
        [slot],
      )
      return rows[0]?.lsn ?? ''
    },
    open: (options = {}) => openFor(t, { connectionString: url, slot, publication, ...options }),
  }
}

async function openFor(
  t: Test,
  options: Pick<StreamOptions, 'connectionString' | 'slot' | 'publication'> & Partial<StreamOptions>,
): Promise<ReplicationStream> {
  const stream = await openReplicationStream({
    startLsn: '0/0',
    spillFolder: join(t.testdir(), 'spill'),
    signal: new AbortController().signal,
    log,
    ...options,
  })
  t.teardown(() => stream.close())
  return stream
}

/** Sets wal_sender_timeout for the sessions of a URL. */
export function withSenderTimeout(url: string, seconds: number): string {
  return withSetting(url, `wal_sender_timeout=${seconds}s`)
}

/** The least memory there is, so that a transaction of some hundred rows is streamed. */
export function withSmallMemory(url: string): string {
  return withSetting(url, 'logical_decoding_work_mem=64kB')
}

function withSetting(url: string, setting: string): string {
  const changed = new URL(url)
  changed.searchParams.set('options', `-c ${setting}`)
  return changed.href
}

export async function readParts(batch: Batch): Promise<BatchPart[]> {
  const parts: BatchPart[] = []
  for await (const part of batch.parts()) parts.push(part)
  return parts
}

export function decodePartFrames(part: BatchPart): PgoutputMessage[] {
  return part.frames.map((frame) => decodeMessage(frame, { inStream: false, protocol: 1 }))
}

/** The first columns of all rows that were inserted, as text or as int4. */
export async function insertedIds(batch: Batch): Promise<number[]> {
  const ids: number[] = []
  for await (const part of batch.parts()) {
    for (const message of decodePartFrames(part)) {
      if (message.type !== 'insert') continue
      const value = message.new.values[0]
      if (value) ids.push(value.length === 4 ? value.readInt32BE(0) : Number(value.toString()))
    }
  }
  return ids
}

/** Takes batches, acknowledging each, until `count` rows have come. */
export async function takeRows(stream: ReplicationStream, count: number): Promise<number[]> {
  const ids: number[] = []
  while (ids.length < count) {
    const batch = await stream.nextBatch(anything)
    if (batch === null) throw new Error('the stream ended')
    ids.push(...(await insertedIds(batch)))
    stream.ackDurable(batch.end)
    await batch.release()
  }
  return ids
}

/** Waits for a condition of the server; the test's own time limit ends it. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** The process that reads a slot, or null. */
export async function slotReader(url: string, slot: string): Promise<number | null> {
  const rows = await queryRows<{ pid: number | null }>(
    url,
    'select active_pid as pid from pg_replication_slots where slot_name = $1',
    [slot],
  )
  return rows[0]?.pid ?? null
}
