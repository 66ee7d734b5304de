import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import pg from 'pg'
import { createPool } from '../../../../core/db.ts'
import { formatLsn } from '../../../../core/lsn.ts'
import { publicationName, publishedTables } from '../../../../core/published-tables.ts'
import { decodeMessage } from '../../../../replication/pgoutput/decode.ts'
import { planPublication } from '../../../../replication/publication.ts'
import { applyBatch, type ApplySettings } from '../../../../replication/relay/apply/apply-batch.ts'
import type { Batch, BatchHeader, BatchPart } from '../../../../replication/relay/batch.ts'
import type { Applied, ApplyOptions, Lease, NeedRows } from '../../../../replication/relay/cloud-link.ts'
import { fetchRows } from '../../../../replication/relay/fetch-rows.ts'
import { acquireLease } from '../../../../replication/relay/lease.ts'
import { createDatabasePair, queryRows, uniqueName } from '../../../support/databases.ts'

/** One committed transaction as the slot sent it: plain frames from begin to commit. */
export interface SentTransaction {
  frames: readonly Buffer[]
  commitLsn: bigint
  endLsn: bigint
  rows: number
}

type Options = Partial<ApplyOptions & ApplySettings>

export interface Following {
  primaryUrl: string
  cloudUrl: string
  primary: pg.Pool
  cloud: pg.Pool
  slot: string
  systemIdentifier: string
  lease: Lease
  /** where the cloud was before {@link take} took */
  before: string
  /** What was committed since the last call. */
  take(options?: { binary?: boolean }): Promise<SentTransaction[]>
  /** A batch of transactions that goes on from `after`. */
  batch(transactions: readonly SentTransaction[], after: string, more?: BatchOptions): Batch
  /** Applies with a session of its own. */
  apply(batch: Batch, options?: Options): Promise<Applied | NeedRows>
  /** Takes what was committed, applies it from where the cloud is, fetching rows where asked. */
  follow(options?: Options & { binary?: boolean }): Promise<Applied>
}

export interface BatchOptions extends Partial<BatchHeader> {
  framesPerPart?: number
}

/** A migrated pair with a publication and a slot at home, and a cloud that follows it from there. */
export async function createFollowing(t: Test): Promise<Following> {
  const { primaryUrl, cloudUrl } = await createDatabasePair(t)
  const slot = uniqueName('relay')
  for (const step of planPublication(publicationName, publishedTables, null))
    await queryRows(primaryUrl, step.sql)
  const [made] = await queryRows<{ start: string }>(
    primaryUrl,
    `select lsn::text as start from pg_create_logical_replication_slot($1, 'pgoutput')`,
    [slot],
  )
  const [found] = await queryRows<{ id: string }>(
    primaryUrl,
    'select system_identifier::text as id from pg_control_system()',
  )
  const start = made?.start ?? ''
  const systemIdentifier = found?.id ?? ''
  const primary = createPool({ connectionString: primaryUrl, applicationName: 'homeport test' })
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => Promise.all([primary.end(), cloud.end()]))
  await cloud.query(
    `insert into relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn, state)
     values ($1, $2, 1, $3, $3, 'following')`,
    [slot, systemIdentifier, start],
  )
  const holder = randomUUID()
  const { lease } = await acquireLease(cloud, {
    slot,
    holder,
    holderName: 'a test',
    systemIdentifier,
    timeline: 1,
    leaseSeconds: 60,
  })
  const described: Buffer[] = []
  const following: Following = {
    primaryUrl,
    cloudUrl,
    primary,
    cloud,
    slot,
    systemIdentifier,
    lease,
    before: start,
    async take(options = {}) {
      following.before = await endLsn(cloud, slot)
      return takeTransactions(primary, slot, described, options.binary ?? true)
    },
    batch: (transactions, after, more = {}) =>
      makeBatch(transactions, { slot, systemIdentifier, after, described: [...described], ...more }),
    apply: (batch, options = {}) => applyOnce(cloudUrl, batch, { lease, quarantine: false, ...options }),
    async follow({ binary = true, ...options } = {}) {
      const transactions = await following.take({ binary })
      const batch = following.batch(transactions, following.before)
      return applyFetching(following, batch, options)
    },
  }
  return following
}

/** Applies, and answers what is asked for as often as it is. */
export async function applyFetching(
  following: Following,
  batch: Batch,
  options: Options = {},
): Promise<Applied> {
  let outcome = await following.apply(batch, options)
  const fetched = [...(options.fetched ?? [])]
  for (let round = 0; outcome.kind === 'needRows' && round < 5; round += 1) {
    fetched.push(...(await fetchRows(following.primary, outcome.requests)))
    outcome = await following.apply(batch, { ...options, fetched })
  }
  if (outcome.kind === 'needRows') throw new Error('it asks for rows again and again')
  return outcome
}

/** Public sources with the ids from `first` to `last`, in one transaction. */
export async function insertSources(db: pg.Pool, first: number, last: number): Promise<void> {
  await db.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at, url)
     select n, 'video', 'talk ' || n, 'public', 'transcript', now(), 'https://example.org/' || n
     from generate_series($1::integer, $2::integer) n`,
    [first, last],
  )
}

/** How far the cloud is. */
export async function endLsn(cloud: pg.Pool, slot: string): Promise<string> {
  const { rows } = await cloud.query<{ end: string }>(
    'select end_lsn::text as end from relay_progress where slot = $1',
    [slot],
  )
  return rows[0]?.end ?? ''
}

async function applyOnce(
  cloudUrl: string,
  batch: Batch,
  options: ApplyOptions & ApplySettings,
): Promise<Applied | NeedRows> {
  const session = new pg.Client({ connectionString: cloudUrl })
  session.on('error', () => undefined)
  await session.connect()
  try {
    return await applyBatch(session, batch, options)
  } finally {
    await session.end()
  }
}

async function takeTransactions(
  primary: pg.Pool,
  slot: string,
  described: Buffer[],
  binary: boolean,
): Promise<SentTransaction[]> {
  const { rows } = await primary.query<{ data: Buffer }>(
    `select data from pg_logical_slot_get_binary_changes($1, null, null,
       'proto_version', '1', 'publication_names', $2, 'binary', $3)`,
    [slot, publicationName, String(binary)],
  )
  const transactions: SentTransaction[] = []
  let frames: Buffer[] = []
  let changes = 0
  for (const { data } of rows) {
    const message = decodeMessage(data, { inStream: false, protocol: 1 })
    if (message.type === 'relation' || message.type === 'type') {
      described.push(data)
      // Where a table changes in the midst of things, its place counts.
      if (frames.length > 0) frames.push(data)
      continue
    }
    frames.push(data)
    if (message.type === 'insert' || message.type === 'update' || message.type === 'delete') changes += 1
    if (message.type !== 'commit') continue
    const { commitLsn, endLsn } = message
    transactions.push({ frames, commitLsn, endLsn, rows: changes })
    frames = []
    changes = 0
  }
  return transactions
}

interface MakeBatchOptions extends BatchOptions {
  slot: string
  systemIdentifier: string
  after: string
  described: readonly Buffer[]
}

function makeBatch(transactions: readonly SentTransaction[], options: MakeBatchOptions): Batch {
  const { described, framesPerPart = Infinity, ...given } = options
  const last = transactions.at(-1)
  const end = given.end ?? (last === undefined ? given.after : formatLsn(last.endLsn))
  const header: BatchHeader = {
    timeline: 1,
    commit: last === undefined ? end : formatLsn(last.commitLsn),
    transactions: transactions.length,
    rows: transactions.reduce((sum, { rows }) => sum + rows, 0),
    part: 0,
    isLastPart: true,
    ...given,
    end,
  }
  const frames = transactions.flatMap((transaction) => transaction.frames)
  return {
    slot: header.slot,
    after: header.after,
    end,
    oldestCommitAt: null,
    parts: async function* (): AsyncGenerator<BatchPart> {
      const parts = Math.max(1, Math.ceil(frames.length / framesPerPart))
      for (let part = 0; part < parts; part += 1) {
        const own = parts === 1 ? frames : frames.slice(part * framesPerPart, (part + 1) * framesPerPart)
        yield {
          header: {
            ...header,
            part: header.part + part,
            isLastPart: header.isLastPart && part === parts - 1,
          },
          frames: [...described, ...own],
        }
      }
    },
    release: async () => undefined,
  }
}
