import { once } from 'node:events'
import pg from 'pg'
import { randomStream, wordOfRank } from './search-corpus.ts'

export const dimensions = 384
export const modelId = 1
/** of one source, in one transaction, as an ingest commits */
export const segmentsPerSource = 60

/** What rows are made of: texts, word times and vectors to combine, so that the primary makes them fast. */
export async function prepareCorpus(db: pg.ClientBase): Promise<void> {
  const random = randomStream(11)
  await db.query(
    'create table bench_pieces (n integer primary key, text text, starts integer[], vector halfvec)',
  )
  for (let from = 0; from < 1_000; from += 250) {
    const pieces = Array.from({ length: 250 }, (_, at) => ({
      n: from + at,
      text: Array.from({ length: 55 }, () => wordOfRank(Math.floor(30_000 ** random()) - 1)).join(' '),
      vector: `[${Array.from({ length: dimensions }, () => (random() - 0.5).toFixed(4)).join(',')}]`,
    }))
    await db.query(
      `insert into bench_pieces
       select n, text, array(select k * 370 + n % 90 from generate_series(1, 110) as k), vector::halfvec
       from unnest($1::int[], $2::text[], $3::text[]) as piece (n, text, vector)`,
      [pieces.map(({ n }) => n), pieces.map(({ text }) => text), pieces.map(({ vector }) => vector)],
    )
  }
  await db.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state, activated_at)
     values ($1, 'bench', 'onnx', 'bench', $2, 0.5, 0.5, 'active', now())`,
    [modelId, dimensions],
  )
}

/** One source with its segments and their vectors, in the transaction of the session; segments are `source * 1000 + n`. */
export async function insertSource(
  db: pg.ClientBase,
  source: number,
  segments = segmentsPerSource,
): Promise<void> {
  await db.query({
    name: 'bench source',
    text: `insert into sources (id, kind, url, title, channel, duration_ms, visibility, transcript_method, processed_at)
      values ($1, 'video', 'https://www.youtube.com/watch?v=bench', 'Talk', 'Bench', 3600000, 'public', 'captions-manual', now())`,
    values: [source],
  })
  await db.query({
    name: 'bench segments',
    text: `insert into segments (id, source_id, visibility, ordinal, start_ms, end_ms, text, turns, word_starts_ms, engine)
      select $1::bigint * 1000 + k, $1, 'public', k, k * 40000, k * 40000 + 39000, one.text || ' ' || two.text,
             '[{"speaker": null, "offset": 0, "startMs": 0}]', one.starts, 'captions'
      from generate_series(0, $2::int - 1) as k
      join bench_pieces one on one.n = (k * 31 + $1::bigint * 7) % 1000
      join bench_pieces two on two.n = (k * 17 + $1::bigint * 13 + 5) % 1000`,
    values: [source, segments],
  })
  await db.query({
    name: 'bench embeddings',
    text: `insert into embeddings (model_id, segment_id, visibility, embedding)
      select $3::int, $1::bigint * 1000 + k, 'public', one.vector + two.vector
      from generate_series(0, $2::int - 1) as k
      join bench_pieces one on one.n = (k * 29 + $1::bigint * 11 + k / 7) % 1000
      join bench_pieces two on two.n = (k * 43 + $1::bigint * 3 + 1) % 1000`,
    values: [source, segments, modelId],
  })
}

/** Writes sources, a transaction each, and last a row that says so; rows are segments and embeddings. */
export class BacklogWriter {
  #nextSource = 1
  readonly #db: pg.ClientBase

  constructor(db: pg.ClientBase) {
    this.#db = db
  }

  get nextSource(): number {
    return this.#nextSource++
  }

  async write(rows: number): Promise<{ rows: number; marker: string }> {
    const sources = Math.max(1, Math.round(rows / 2 / segmentsPerSource))
    for (let n = 0; n < sources; n += 1) {
      await this.#db.query('begin')
      await insertSource(this.#db, this.nextSource)
      await this.#db.query('commit')
    }
    return { rows: sources * segmentsPerSource * 2, marker: await this.mark() }
  }

  /** A row of a published table that comes after everything so far. */
  async mark(): Promise<string> {
    const marker = `bench ${this.#nextSource} ${performance.now()}`
    await this.#db.query(`insert into verifications values ($1, 'match', 0, '0/0', now())`, [marker])
    return marker
  }
}

/** Waits until a cloud has the row that {@link BacklogWriter.mark} left. */
export async function untilMarked(url: string, marker: string, limitMs = 1_800_000): Promise<void> {
  const db = new pg.Client({ connectionString: url })
  await db.connect()
  const end = performance.now() + limitMs
  try {
    for (;;) {
      const found = await db.query('select from verifications where table_name = $1', [marker])
      if (found.rowCount === 1) return
      if (performance.now() > end) throw new Error('the cloud did not catch up')
      await new Promise((go) => setTimeout(go, 10))
    }
  } finally {
    await db.end()
  }
}

/** Lags of transactions that are written at a steady pace, in ms: from the answer to COMMIT to what a listener in the cloud sees. */
export async function measureLags(options: {
  primary: pg.ClientBase
  cloudUrl: string
  writer: BacklogWriter
  rowsPerSecond: number
  seconds: number
}): Promise<number[]> {
  const listener = new pg.Client({ connectionString: options.cloudUrl })
  await listener.connect()
  await listener.query(`create or replace function bench_notify() returns trigger language plpgsql as $$
    begin perform pg_notify('bench', new.id::text); return null; end $$`)
  await listener.query(
    'create or replace trigger bench_notify after insert on sources for each row execute function bench_notify()',
  )
  await listener.query('alter table sources enable always trigger bench_notify')
  const committed = new Map<string, number>()
  const seen = new Map<string, number>()
  listener.on('notification', ({ payload }) => seen.set(payload ?? '', performance.now()))
  await listener.query('listen bench')
  try {
    const segments = 10
    const paceMs = (1000 * segments * 2) / options.rowsPerSecond
    const started = performance.now()
    for (let n = 0; n * paceMs < options.seconds * 1000; n += 1) {
      const waitMs = started + n * paceMs - performance.now()
      if (waitMs > 0) await new Promise((go) => setTimeout(go, waitMs))
      const source = options.writer.nextSource
      await options.primary.query('begin')
      await insertSource(options.primary, source, segments)
      await options.primary.query('commit')
      committed.set(String(source), performance.now())
    }
    const end = performance.now() + 60_000
    const isMissing = (): boolean => [...committed.keys()].some((source) => !seen.has(source))
    while (isMissing()) {
      if (performance.now() > end) throw new Error('not every transaction arrived')
      await Promise.race([once(listener, 'notification'), new Promise((go) => setTimeout(go, 100))])
    }
  } finally {
    await listener.query('drop trigger bench_notify on sources')
    await listener.end()
  }
  return [...committed].map(([source, at]) => Math.max(0, (seen.get(source) ?? Infinity) - at))
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}
