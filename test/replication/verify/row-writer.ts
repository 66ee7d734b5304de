import type { Test } from 'tap'
import { sleep } from '../../../core/backoff.ts'
import { connect } from '../../../core/db.ts'
import { pick, randomNumbers } from '../../support/random.ts'

/** Rows of its own, beside those of the plants and of the workload. */
const rows = { model: 3, terms: 2_000, firstWord: 1_000, words: 500, source: 1_000, segments: 200 } as const

/** Small transactions at a steady pace: twelve rows in each, 600 a second where the machine keeps up. */
const intervalMs = 20

export interface RowWriting {
  /** rows that were inserted, updated and deleted so far, as the server counted them */
  count(): number
  /** ends it; rows a second */
  stop(): Promise<number>
}

/**
 * Writes rows of four published tables, one transaction every 20 ms, until it is stopped. What it is late by it makes
 * up for, so the rate holds over a few seconds also on a busy machine.
 */
export async function startWritingRows(t: Test, url: string, seed: number): Promise<RowWriting> {
  const db = await connect({ connectionString: url, applicationName: 'homeport test' })
  const stopped = new AbortController()
  let count = 0
  const random = randomNumbers(seed * 131)
  await db.query(prepare)
  const { rows: found } = await db.query<{ first: number; next: number }>(
    `select min(term) as first, max(term) + 1 as next from model_terms where model_id = ${rows.model}`,
  )
  let { first = 0, next = 0 } = found[0] ?? {}
  const startedAt = performance.now()

  async function write(): Promise<void> {
    for (let transaction = 0; !stopped.signal.aborted; transaction += 1) {
      // Never the first, which goes in the same transaction.
      const terms = Array.from({ length: 5 }, () => first + 1 + pick(random, next - first - 1))
      const words = Array.from({ length: 2 }, () => rows.firstWord + pick(random, rows.words))
      const segments = Array.from({ length: 2 }, () => rows.source + pick(random, rows.segments))
      const { rows: written } = await db.query<{ count: number }>(writeRows, [
        terms,
        words,
        segments,
        first,
        next,
        pick(random, 2_048),
      ])
      count += written[0]?.count ?? 0
      first += 1
      next += 1
      const waitMs = startedAt + transaction * intervalMs - performance.now()
      // It is stopped while it waits, most of the time.
      if (waitMs > 0) await sleep(waitMs, stopped.signal).catch(() => undefined)
    }
  }

  const done = write()
  // Whoever stops it hears of it.
  done.catch(() => undefined)
  const stop = async (): Promise<number> => {
    stopped.abort()
    await done
    return (1000 * count) / (performance.now() - startedAt)
  }
  t.teardown(async () => {
    try {
      await stop()
    } finally {
      await db.end()
    }
  })
  return { count: () => count, stop }
}

const prepare = `
  insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
  values (${rows.model}, 'written', 'lsa', 'z', 3, 0.8, 0.2, 'building') on conflict do nothing;
  insert into model_terms select ${rows.model}, i, '[1,2,3]' from generate_series(0, ${rows.terms - 1}) i
  where not exists (select from model_terms where model_id = ${rows.model});
  insert into lexicon select ${rows.firstWord} + i, 1 from generate_series(0, ${rows.words - 1}) i on conflict do nothing;
  insert into sources (id, kind, title, visibility, transcript_method, processed_at)
  values (${rows.source}, 'meeting', 'written', 'public', 'transcript', now()) on conflict do nothing;
  insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
  select ${rows.source} + i, ${rows.source}, 'public', i, 'words', '[]', 'test'
  from generate_series(0, ${rows.segments - 1}) i on conflict do nothing`

const writeRows = `
  with
    moved as (
      update model_terms set basis = array[$6::integer, 2, 3]::real[]::halfvec
      where model_id = ${rows.model} and term = any($1::integer[]) returning 1
    ),
    counted as (
      update lexicon set documents = documents + 1 where term = any($2::integer[]) returning 1
    ),
    spoken as (
      update segments set speaker = 'speaker ' || $6::integer, confidence = $6::integer / 2048.0
      where id = any($3::bigint[]) returning 1
    ),
    gone as (delete from model_terms where model_id = ${rows.model} and term = $4 returning 1),
    come as (insert into model_terms values (${rows.model}, $5, '[1,2,3]') returning 1),
    buried as (insert into tombstones (segment_id) values ($5) returning 1)
  select (
    (select count(*) from moved) + (select count(*) from counted) + (select count(*) from spoken)
    + (select count(*) from gone) + (select count(*) from come) + (select count(*) from buried)
  )::integer as count`
