/** Who can answer a search: the cloud database, or the index in this process's memory. */
export interface SearchEngine {
  /**
   * Ranks the collection for a query.
   *
   * @throws HomeportError when it cannot answer; never an empty answer instead.
   */
  search(request: SearchRequest): Promise<SearchAnswer>
}

export interface SearchRequest {
  /** As typed; validated (not empty, no NUL, well-formed). */
  query: string
  limit: number
  offset: number
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal
}

export interface SearchAnswer {
  source: 'postgres' | 'memory'
  /** Best first, at most `limit`. */
  hits: RankedHit[]
  /** How many candidates were ranked, of which `hits` is a page. */
  total: number
  /** The generation whose vectors took part; null when words alone decided. */
  model: AnsweringModel | null
  /** The home database's clock at the newest change this answer can know of. */
  asOf: Date | null
}

export interface AnsweringModel {
  id: number
  name: string
  kind: 'lsa' | 'onnx'
}

export interface RankedHit {
  /** int8 as text */
  segmentId: string
  /** 0 to 1, comparable within one answer only */
  score: number
  /** BM25 and cosine as computed, before normalisation */
  scores: { words: number; vector: number }
  row: SegmentRow
}

/** What a hit shows of its segment. */
export interface SegmentRow {
  text: string
  speaker: string | null
  chapter: string | null
  turns: readonly Turn[]
  startMs: number | null
  endMs: number | null
  /** Start of each white-space separated word of `text`, in ms after `startMs`. */
  wordStartsMs: readonly number[] | null
  source: SourceRow
}

export interface Turn {
  speaker: string | null
  /** Character offset into the segment's text. */
  offset: number
  startMs: number | null
}

export interface SourceRow {
  id: string
  kind: string
  url: string | null
  title: string
  channel: string | null
  publishedAt: Date | null
  durationMs: number | null
}
