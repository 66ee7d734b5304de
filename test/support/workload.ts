import { createHash } from 'node:crypto'
import type pg from 'pg'
import { createPool } from '../../core/db.ts'
import { errorCode } from '../../core/errors.ts'
import { bank } from './oracles/tear-reader.ts'
import type { Ledger } from './oracles/ledger.ts'
import { pick, randomNumbers } from './random.ts'

export interface WorkloadOptions {
  url: string
  ledger: Ledger
  seed: number
  /** one transaction each, over all sessions */
  operations: number
  sessions?: number
  signal?: AbortSignal
}

/** One session's own sources, so that sessions never wait for each other outside the bank. */
interface Writer {
  db: pg.PoolClient
  random: () => number
  nextId: number
  talks: string[]
  bare: { id: string; visibility: string }[]
}

type Operation = (writer: Writer) => Promise<void>

/** The bank's accounts and the model that vectors belong to; does nothing when they are there. */
export async function prepareWorkload(primary: pg.Pool): Promise<void> {
  await primary.query(
    `insert into lexicon select term, ${bank.balance} from generate_series(0, ${bank.accounts - 1}) as term on conflict do nothing`,
  )
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (1, 'test', 'lsa', 'x', 8, 0.8, 0.2, 'building') on conflict do nothing`,
  )
}

/**
 * Writes as many kinds of transactions as the publication can carry, some of them rolled back, from several
 * sessions at once; the same seed makes the same ones. Every one is in the ledger.
 */
export async function runWorkload(options: WorkloadOptions): Promise<void> {
  const sessions = options.sessions ?? 3
  const pool = createPool({ connectionString: options.url, applicationName: 'homeport test', max: sessions })
  let left = options.operations
  const takeOne = (): boolean => left-- > 0 && options.signal?.aborted !== true
  try {
    await Promise.all(
      Array.from({ length: sessions }, async (_, session) => {
        // Keys never return, whatever ran before.
        const { rows } = await pool.query<{ first: string }>(`select nextval('change_seq')::text as first`)
        const writer: Writer = {
          db: await pool.connect(),
          random: randomNumbers(options.seed * 31 + session),
          nextId: Number(rows[0]?.first) * 1_000_000,
          talks: [],
          bare: [],
        }
        try {
          while (takeOne()) await performOne(writer, options.ledger)
        } finally {
          writer.db.release()
        }
      }),
    )
  } finally {
    await pool.end()
  }
}

async function performOne(writer: Writer, ledger: Ledger): Promise<void> {
  const name = operationNames[pick(writer.random, operationNames.length)] ?? 'transfer'
  const { operation, row } = ledger.begin(`${name} ${writer.nextId}`)
  let isCommitting = false
  try {
    await writer.db.query('begin')
    await operations[name]?.(writer)
    await writer.db.query(`insert into verifications values ($1, 'match', $2, '0/0', now())`, row)
    if (name === 'rollBack') {
      await writer.db.query('rollback')
      ledger.end(operation, 'failed')
      return
    }
    isCommitting = true
    await writer.db.query('commit')
    ledger.end(operation, 'acked')
  } catch (error) {
    // Before the commit nothing can have happened; after it only the server's own refusal says so.
    const isRefused = /^(?:23|40)/.test(errorCode(error) ?? '')
    if (!isCommitting || isRefused) ledger.end(operation, 'failed')
    throw error
  }
}

const operations: Readonly<Record<string, Operation>> = {
  async insertTalk(writer) {
    const id = newId(writer)
    const visibility = writer.random() < 0.8 ? 'public' : 'private'
    const segments = 1 + pick(writer.random, 5)
    await insertSource(writer, id, visibility)
    await writer.db.query(
      `insert into segments (id, source_id, visibility, ordinal, start_ms, text, turns, word_starts_ms, engine, confidence)
       select $1::bigint + n, $1, $2, n, n * 1000, $3 || n, '[{"speaker": "Ann \\"A\\"", "offset": 0, "startMs": 12.50}]', array[0, 250, n], 'test', 0.1 * n
       from generate_series(0, $4 - 1) as n`,
      [id, visibility, someText(writer), segments],
    )
    await writer.db.query(
      `insert into segment_terms select $1::bigint + n, $2, array[n, 7, 99], array[1, 2, 3]::smallint[], 6 from generate_series(0, $3 - 1) as n`,
      [id, visibility, segments],
    )
    await writer.db.query(
      `insert into embeddings (model_id, segment_id, visibility, embedding)
       select 1, $1::bigint + n, $2, array(select (n + k) / 7.0 from generate_series(1, 8) as k)::real[]::halfvec from generate_series(0, $3 - 1) as n`,
      [id, visibility, segments],
    )
    writer.talks.push(id)
  },
  async insertBareSource(writer) {
    const id = newId(writer)
    const visibility = writer.random() < 0.5 ? 'public' : 'private'
    await insertSource(writer, id, visibility)
    writer.bare.push({ id, visibility })
  },
  /** A row enters or leaves the publication. */
  async changeVisibility(writer) {
    const source = some(writer, writer.bare)
    if (source === undefined) return
    source.visibility = source.visibility === 'public' ? 'private' : 'public'
    await writer.db.query('update sources set visibility = $2 where id = $1', [source.id, source.visibility])
  },
  async changeKey(writer) {
    const source = some(writer, writer.bare)
    if (source === undefined) return
    const id = newId(writer)
    await writer.db.query(`update sources set id = $2, title = title || '!' where id = $1`, [source.id, id])
    source.id = id
  },
  async countViews(writer) {
    const id = some(writer, writer.talks)
    if (id !== undefined) await writer.db.query('update sources set views = views + 1 where id = $1', [id])
  },
  /** The long text stays where it is and is not sent again. */
  async nameSpeaker(writer) {
    const id = some(writer, writer.talks)
    if (id === undefined) return
    await writer.db.query('update segments set speaker = $2 where source_id = $1', [
      id,
      `speaker ${writer.nextId}`,
    ])
  },
  async rewriteText(writer) {
    const id = some(writer, writer.talks)
    if (id === undefined) return
    await writer.db.query(
      `update segments set text = $2, chapter = null where source_id = $1 and ordinal = 0`,
      [id, someText(writer)],
    )
  },
  async deleteTalk(writer) {
    const at = pick(writer.random, writer.talks.length)
    const [id] = writer.talks.length < 4 ? [] : writer.talks.splice(at, 1)
    if (id !== undefined) await writer.db.query('delete from sources where id = $1', [id])
  },
  async transfer(writer) {
    const amount = 1 + pick(writer.random, 5)
    // In one order for all sessions, or they would wait for each other in a circle.
    const from = pick(writer.random, bank.accounts - 1)
    const to = from + 1 + pick(writer.random, bank.accounts - 1 - from)
    const [out, into] = writer.random() < 0.5 ? [-amount, amount] : [amount, -amount]
    const move = 'update lexicon set documents = documents + $2 where term = $1'
    await writer.db.query(move, [from, out])
    await writer.db.query(move, [to, into])
  },
  /** Enough rows of one table for the way of bulk loads. */
  async insertMany(writer) {
    const first = newId(writer)
    await writer.db.query(
      `insert into tombstones (segment_id) select $1::bigint + n from generate_series(1, 300) as n`,
      [first],
    )
  },
  /** Committed work around work that was rolled back. */
  async useSavepoint(writer) {
    await operations['insertBareSource']?.(writer)
    const bare = writer.bare.length
    await writer.db.query('savepoint s')
    await operations['insertBareSource']?.(writer)
    await operations['countViews']?.(writer)
    await writer.db.query('rollback to savepoint s')
    writer.bare.length = bare
    await operations['countViews']?.(writer)
  },
  async truncateCollection(writer) {
    await writer.db.query('truncate collection')
    await writer.db.query('insert into collection (documents, average_length) values ($1, 1.5)', [
      pick(writer.random, 1_000),
    ])
  },
  async rollBack(writer) {
    await insertSource(writer, newId(writer), 'public')
    await writer.db.query('update lexicon set documents = documents + 1 where term = 0')
  },
}

const operationNames = [...Object.keys(operations), 'transfer', 'countViews', 'insertTalk']

function newId(writer: Writer): string {
  writer.nextId += 100
  return String(writer.nextId)
}

function some<T>(writer: Writer, list: readonly T[]): T | undefined {
  return list[pick(writer.random, list.length)]
}

async function insertSource(writer: Writer, id: string, visibility: string): Promise<void> {
  await writer.db.query(
    `insert into sources (id, kind, title, channel, duration_ms, views, visibility, transcript_method, published_at, processed_at)
     values ($1, 'video', $2, null, $3, 0, $4, 'transcript', '2024-02-29 23:59:59.123456+02', now())`,
    [id, `Tälk "${id}" \\ 😀`, pick(writer.random, 1_000_000), visibility],
  )
}

/** Half of them too long for a row and not to be compressed, so that they are stored apart. */
function someText(writer: Writer): string {
  const text = `words ${writer.nextId} `
  if (writer.random() < 0.5) return text
  const chunks = Array.from({ length: 200 }, (_, n) =>
    createHash('sha256').update(`${writer.nextId} ${n}`).digest('base64'),
  )
  return text + chunks.join('')
}
