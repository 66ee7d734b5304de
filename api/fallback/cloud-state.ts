import type { ModelGeneration } from '../../core/embed/embedder.ts'
import { loadSql } from '../../core/sql.ts'
import type { CloudSnapshot } from './cloud-snapshot.ts'
import type { Check } from './collection.ts'

/** Change sequence numbers, one a table: bounds to look above, or the largest seen. */
export interface Marks {
  segments: number
  embeddings: number
  tombstones: number
}

export const allOfIt: Marks = { segments: 0, embeddings: 0, tombstones: 0 }

/** What the cloud holds at one moment, as far as it decides whether memory has to change. */
export interface CloudState {
  model: ModelGeneration | null
  statistics: { documents: number; averageLength: number; countedAtMs: number }
  /** The home database's clock as it had arrived; null without a heartbeat. */
  beatAt: Date | null
  sources: Check
  /** Above the bounds that were asked for. */
  segments: Check
  embeddings: Check
  tombstones: Check
  /** The largest numbers above the bounds, 0 where there are none. */
  newest: Marks
}

interface StateRow {
  id: number | null
  name: string
  kind: 'lsa' | 'onnx'
  fingerprint: string
  dimensions: number
  words_weight: number
  vector_weight: number
  documents: number | null
  average_length: number | null
  counted_at: Date | null
  beat_at: Date | null
  source_count: string
  source_sum: string
  segment_count: string
  segment_sum: string
  segment_max: string
  embedding_count: string
  embedding_sum: string
  embedding_max: string
  tombstone_count: string
  tombstone_sum: string
  tombstone_max: string
}

/** Reads the state of the cloud, counting what lies above `low`. */
export async function readCloudState(snapshot: CloudSnapshot, low: Marks): Promise<CloudState> {
  const [row] = await snapshot.query<StateRow>({
    text: loadSql('queries/fallback-state'),
    values: [low.segments, low.embeddings, low.tombstones],
  })
  if (row === undefined) throw new Error('a statement that always gives one row gave none')
  const check = (count: string, sum: string): Check => ({ count: Number(count), sum: BigInt(sum) })
  return {
    model:
      row.id === null
        ? null
        : {
            id: row.id,
            name: row.name,
            kind: row.kind,
            fingerprint: row.fingerprint,
            dimensions: row.dimensions,
            wordsWeight: row.words_weight,
            vectorWeight: row.vector_weight,
          },
    statistics: {
      documents: row.documents ?? 0,
      averageLength: row.average_length ?? 0,
      countedAtMs: row.counted_at?.getTime() ?? 0,
    },
    beatAt: row.beat_at,
    sources: check(row.source_count, row.source_sum),
    segments: check(row.segment_count, row.segment_sum),
    embeddings: check(row.embedding_count, row.embedding_sum),
    tombstones: check(row.tombstone_count, row.tombstone_sum),
    newest: {
      segments: Number(row.segment_max),
      embeddings: Number(row.embedding_max),
      tombstones: Number(row.tombstone_max),
    },
  }
}
