import { loadSql } from '../../core/sql.ts'
import { parseHalfvecBinary } from '../../core/vector.ts'
import type { LsaBasis } from '../../core/embed/lsa.ts'
import type { ModelGeneration } from '../../core/embed/embedder.ts'
import type { SourceRow, Turn } from '../search/engine.ts'
import { rawText, type CloudSnapshot } from './cloud-snapshot.ts'
import type { SegmentRecord, Sources } from './collection.ts'
import { Column } from './column.ts'
import { Lexicon } from './lexicon.ts'
import { encodeRow } from './row-store.ts'

/** Rows a query, so that neither memory nor a turn of the event loop fills up. */
const pageRows = 250
const lexiconPageRows = 20_000
const basisPageRows = 1_000
const beforeFirstId = '-9223372036854775808'
const beforeFirstTerm = -(2 ** 31) - 1

/** Columns as text; null stays null. */
type Raw<Column extends string, Nullable extends string = never> = Record<Column, string> &
  Record<Nullable, string | null>
type RawSegment = Raw<
  'id' | 'source_id' | 'text' | 'turns' | 'change_seq',
  'start_ms' | 'end_ms' | 'chapter' | 'speaker' | 'word_starts_ms'
>

/** All public segments, page by page in the order of their ids. */
export async function* readAllSegments(
  snapshot: CloudSnapshot,
  modelId: number | null,
): AsyncGenerator<SegmentRecord[]> {
  for (let after = beforeFirstId; ;) {
    const rows = await snapshot.query<RawSegment>({
      text: loadSql('queries/fallback-segments-page'),
      values: [after, pageRows],
      types: rawText,
    })
    const last = rows.at(-1)
    if (last === undefined) return
    yield await complete(snapshot, rows, modelId)
    after = last.id
  }
}

/** Those of the named segments that are there and public, in pages. */
export async function* readSegments(
  snapshot: CloudSnapshot,
  ids: readonly string[],
  modelId: number | null,
): AsyncGenerator<{ asked: readonly string[]; found: SegmentRecord[] }> {
  for (let from = 0; from < ids.length; from += pageRows) {
    const asked = ids.slice(from, from + pageRows)
    const rows = await snapshot.query<RawSegment>({
      text: loadSql('queries/fallback-segments-by-id'),
      values: [asked],
      types: rawText,
    })
    yield { asked, found: await complete(snapshot, rows, modelId) }
  }
}

/** Adds words and vectors, looked up by id: a join would leave the plan of every page to old statistics. */
async function complete(
  snapshot: CloudSnapshot,
  rows: readonly RawSegment[],
  modelId: number | null,
): Promise<SegmentRecord[]> {
  const ids = rows.map((row) => row.id)
  const terms = await snapshot.query<Raw<'segment_id' | 'terms' | 'counts' | 'length'>>({
    text: loadSql('queries/fallback-terms-by-id'),
    values: [ids],
    types: rawText,
  })
  const vectors =
    modelId === null
      ? []
      : await snapshot.query<Raw<'segment_id' | 'vector' | 'change_seq'>>({
          text: loadSql('queries/fallback-vectors-by-id'),
          values: [modelId, ids],
          types: rawText,
        })
  const termsOf = new Map(terms.map((row) => [row.segment_id, row]))
  const vectorOf = new Map(vectors.map((row) => [row.segment_id, row]))
  return rows.map((row) => {
    const words = termsOf.get(row.id)
    const vector = vectorOf.get(row.id)
    return {
      id: row.id,
      changeSeq: Number(row.change_seq),
      row: encodeRow({
        sourceId: row.source_id,
        startMs: numberOrNull(row.start_ms),
        endMs: numberOrNull(row.end_ms),
        chapter: row.chapter,
        speaker: row.speaker,
        text: row.text,
        turns: JSON.parse(row.turns) as Turn[],
        wordStartsMs: row.word_starts_ms === null ? null : parseIntegers(row.word_starts_ms),
      }),
      words:
        words === undefined
          ? null
          : {
              terms: parseIntegers(words.terms),
              counts: parseIntegers(words.counts),
              length: Number(words.length),
            },
      vector:
        vector === undefined
          ? null
          : { halves: parseHalves(vector.vector), changeSeq: Number(vector.change_seq) },
    }
  })
}

/** Ids with their change sequence number, above a bound. */
export async function readChanged(
  snapshot: CloudSnapshot,
  of:
    { table: 'segments' | 'tombstones'; low: number } | { table: 'embeddings'; low: number; modelId: number },
): Promise<[id: string, changeSeq: number][]> {
  const rows =
    of.table === 'embeddings'
      ? await snapshot.query<{ segment_id: string; change_seq: string }>({
          text: loadSql('queries/fallback-changed-embeddings'),
          values: [of.modelId, of.low],
        })
      : await snapshot.query<{ segment_id: string; change_seq: string }>({
          text: loadSql(
            of.table === 'segments' ? 'queries/fallback-changed-segments' : 'queries/fallback-tombstones',
          ),
          values: [of.low],
        })
  return rows.map((row) => [row.segment_id, Number(row.change_seq)])
}

interface RawSource {
  id: string
  kind: string
  url: string | null
  title: string
  channel: string | null
  published_at: Date | null
  duration_ms: number | null
  change_seq: string
}

export async function readSources(snapshot: CloudSnapshot): Promise<Sources> {
  const rows = await snapshot.query<RawSource>({ text: loadSql('queries/fallback-sources') })
  const byId = new Map<string, SourceRow>()
  let sum = 0n
  for (const row of rows) {
    sum += BigInt(row.change_seq)
    byId.set(row.id, {
      id: row.id,
      kind: row.kind,
      url: row.url,
      title: row.title,
      channel: row.channel,
      publishedAt: row.published_at,
      durationMs: row.duration_ms,
    })
  }
  return { byId, sum }
}

export async function readLexicon(snapshot: CloudSnapshot): Promise<Lexicon> {
  const terms = new Column((length) => new Int32Array(length))
  const documents = new Column((length) => new Int32Array(length))
  for (let after = beforeFirstTerm; ;) {
    const rows = await snapshot.query<{ term: number; documents: number }>({
      text: loadSql('queries/fallback-lexicon-page'),
      values: [after, lexiconPageRows],
    })
    for (const row of rows) {
      terms.push(row.term)
      documents.push(row.documents)
    }
    const last = rows.at(-1)
    if (last === undefined) return new Lexicon(terms.view().slice(), documents.view().slice())
    after = last.term
  }
}

export async function readBasis(
  snapshot: CloudSnapshot,
  { id, dimensions }: Pick<ModelGeneration, 'id' | 'dimensions'>,
): Promise<LsaBasis> {
  const terms = new Column((length) => new Int32Array(length))
  const basis = new Column((length) => new Uint16Array(length))
  for (let after = beforeFirstTerm; ;) {
    const rows = await snapshot.query<Raw<'term' | 'basis'>>({
      text: loadSql('queries/fallback-basis-page'),
      values: [id, after, basisPageRows],
      types: rawText,
    })
    for (const row of rows) {
      terms.push(Number(row.term))
      basis.append(parseHalves(row.basis))
    }
    const last = rows.at(-1)
    if (last === undefined) return { dimensions, terms: terms.view().slice(), basis: basis.view().slice() }
    after = Number(last.term)
  }
}

/** The bits of a vector from its binary form in hexadecimal digits. */
function parseHalves(digits: string): Uint16Array {
  return parseHalfvecBinary(Buffer.from(digits, 'hex'))
}

function numberOrNull(text: string | null): number | null {
  return text === null ? null : Number(text)
}

/** `{1,-2,3}` as Postgres writes an array of integers without nulls. */
export function parseIntegers(array: string): number[] {
  const numbers: number[] = []
  let value = 0
  let sign = 1
  let digits = false
  for (let at = 1; at < array.length; at++) {
    const code = array.charCodeAt(at)
    if (code >= 48 && code <= 57) {
      value = value * 10 + code - 48
      digits = true
    } else if (code === 45) {
      sign = -1
    } else {
      if (digits) numbers.push(sign * value)
      value = 0
      sign = 1
      digits = false
    }
  }
  return numbers
}
