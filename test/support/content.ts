import pg from 'pg'
import { inverseDocumentFrequency } from '../../core/bm25.ts'
import { createLsaEmbedder, lsaFingerprint } from '../../core/embed/lsa.ts'
import { toHalfvecText, toHalves } from '../../core/vector.ts'
import { countTerms, type TermCounts } from '../../core/words.ts'

export interface ContentSegment {
  text: string
  speaker?: string | null
  chapter?: string | null
  startMs?: number | null
  endMs?: number | null
  wordStartsMs?: readonly number[] | null
  turns?: readonly { speaker: string | null; offset: number; startMs: number | null }[]
}

export interface ContentSource {
  id: number
  title: string
  kind?: 'video' | 'recording' | 'meeting'
  url?: string | null
  channel?: string | null
  publishedAt?: string | null
  durationMs?: number | null
  visibility?: 'public' | 'unlisted' | 'private'
  segments: readonly ContentSegment[]
}

export interface ContentModel {
  id: number
  dimensions: number
  /** Different seeds give different, incompatible vectors. */
  seed?: number
  name?: string
  state?: 'building' | 'active' | 'retired'
  wordsWeight?: number
  vectorWeight?: number
  index?: boolean
}

export interface SeedOptions {
  sources: readonly ContentSource[]
  /** A lexical generation with a basis of seeded random directions; none when absent. */
  model?: ContentModel
  /** Seconds ago; null leaves no heartbeat. */
  beatAgeSeconds?: number | null
  verdict?: 'match' | 'drift' | 'undetermined'
}

interface Prepared {
  id: string
  counted: TermCounts
}

/**
 * Fills a migrated database through SQL with what an ingest run would have left there: sources, segments,
 * their words, statistics, and a generation of vectors. Segment ids are `source id * 1000 + ordinal`.
 */
export async function seedContent(databaseUrl: string, options: SeedOptions): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const prepared: Prepared[] = []
    for (const source of options.sources) prepared.push(...(await insertSource(client, source)))
    await insertStatistics(client)
    if (options.model !== undefined) await insertModel(client, options.model, prepared)
    if (options.beatAgeSeconds !== null) {
      await client.query(
        `insert into heartbeat (id, beat, beat_at, lsn) values (1, 1, now() - make_interval(secs => $1), '0/0')
         on conflict (id) do update set beat = heartbeat.beat + 1, beat_at = excluded.beat_at`,
        [options.beatAgeSeconds ?? 0],
      )
    }
    if (options.verdict !== undefined) {
      await client.query(
        `insert into verifications values ('segments', $1, 0, '0/0', now()), ('sources', 'match', 0, '0/0', now())
         on conflict (table_name) do update set verdict = excluded.verdict, checked_at = excluded.checked_at`,
        [options.verdict],
      )
    }
  } finally {
    await client.end()
  }
}

async function insertSource(client: pg.Client, source: ContentSource): Promise<Prepared[]> {
  const visibility = source.visibility ?? 'public'
  await client.query(
    `insert into sources (id, kind, url, title, channel, duration_ms, published_at, visibility, transcript_method, processed_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, 'transcript', now())`,
    [
      source.id,
      source.kind ?? 'video',
      source.url ?? null,
      source.title,
      source.channel ?? null,
      source.durationMs ?? null,
      source.publishedAt ?? null,
      visibility,
    ],
  )
  const prepared: Prepared[] = []
  for (const [ordinal, segment] of source.segments.entries()) {
    const id = String(source.id * 1000 + ordinal)
    const counted = countTerms(segment.text)
    const turns = segment.turns ?? [
      { speaker: segment.speaker ?? null, offset: 0, startMs: segment.startMs ?? null },
    ]
    await client.query(
      `insert into segments (id, source_id, visibility, ordinal, start_ms, end_ms, chapter, speaker, text, turns, word_starts_ms, engine)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'test')`,
      [
        id,
        source.id,
        visibility,
        ordinal,
        segment.startMs ?? null,
        segment.endMs ?? null,
        segment.chapter ?? null,
        segment.speaker ?? null,
        segment.text,
        JSON.stringify(turns),
        segment.wordStartsMs ?? null,
      ],
    )
    await client.query(
      'insert into segment_terms (segment_id, visibility, terms, counts, length) values ($1, $2, $3, $4, $5)',
      [id, visibility, counted.terms, counted.counts, counted.length],
    )
    prepared.push({ id, counted })
  }
  return prepared
}

/** Counts the lexicon and the collection anew from the public rows. */
export async function insertStatistics(client: pg.Client): Promise<void> {
  await client.query('delete from lexicon')
  await client.query(
    `insert into lexicon select term, count(*) from segment_terms, unnest(terms) as term
     where visibility = 'public' group by term having count(*) >= 2`,
  )
  await client.query(
    `insert into collection (id, documents, average_length)
     select 1, count(*), coalesce(avg(length), 0) from segment_terms where visibility = 'public'
     on conflict (id) do update set documents = excluded.documents, average_length = excluded.average_length, counted_at = now()`,
  )
}

/** Adds a generation over the given segments; its basis is one random direction a term, scaled by idf. */
async function insertModel(
  client: pg.Client,
  model: ContentModel,
  segments: readonly Prepared[],
): Promise<void> {
  const seed = model.seed ?? 1
  const { dimensions } = model
  const documents = new Map<number, number>()
  for (const { counted } of segments) {
    for (const term of counted.terms) documents.set(term, (documents.get(term) ?? 0) + 1)
  }
  const terms = Int32Array.from(documents.keys()).sort()
  const basis = new Float32Array(terms.length * dimensions)
  terms.forEach((term, row) => {
    const idf = inverseDocumentFrequency(segments.length, documents.get(term) ?? 1)
    const direction = randomDirection(term ^ Math.imul(seed, 0x9e3779b1), dimensions)
    basis.set(direction.map((value) => value * idf), row * dimensions) // prettier-ignore
  })
  const fitted = { dimensions, terms, basis: toHalves(basis) }
  const fingerprint = lsaFingerprint(fitted)
  const embedder = createLsaEmbedder({ ...fitted, generation: { fingerprint, dimensions } })
  await client.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, fitted_segments, state, activated_at)
     values ($1, $2, 'lsa', $3, $4, $5, $6, $7, $8, now())`,
    [
      model.id,
      model.name ?? `lsa-${model.id}`,
      fingerprint,
      dimensions,
      model.wordsWeight ?? 0.8,
      model.vectorWeight ?? 0.2,
      segments.length,
      model.state ?? 'active',
    ],
  )
  await client.query(
    `insert into model_terms (model_id, term, basis)
     select $1, term, basis::halfvec from unnest($2::int4[], $3::text[]) as row (term, basis)`,
    [
      model.id,
      [...terms],
      Array.from(terms, (_, row) => toHalfvecText(basis.subarray(row * dimensions, (row + 1) * dimensions))),
    ],
  )
  await client.query(
    `insert into embeddings (model_id, segment_id, visibility, embedding)
     select $1, row.id, s.visibility, row.vector::halfvec
     from unnest($2::int8[], $3::text[]) as row (id, vector) join segments s on s.id = row.id`,
    [
      model.id,
      segments.map((segment) => segment.id),
      segments.map((segment) => toHalfvecText(embedder.embedCounts(segment.counted))),
    ],
  )
  if (model.index === true) {
    await client.query(
      `create index embeddings_model_${model.id} on embeddings
       using hnsw ((embedding::halfvec(${model.dimensions})) halfvec_cosine_ops) where model_id = ${model.id}`,
    )
  }
}

/** A reproducible direction: uniform values of mulberry32 around zero. */
export function randomDirection(seed: number, dimensions: number): Float32Array {
  let state = seed | 0
  return Float32Array.from({ length: dimensions }, () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1
  })
}
