import type { Token } from '../../core/words.ts'
import type { RankedHit, SegmentRow } from './engine.ts'

/** A hit as `/search` answers it, whichever engine found it. */
export interface PresentedHit {
  segmentId: string
  score: number
  scores: { words: number; vector: number }
  title: string
  speaker: string | null
  chapter: string | null
  text: string
  /** Half-open UTF-16 ranges of `text` that hold a word of the query. */
  highlights: [start: number, end: number][]
  turns: { speaker: string | null; offset: number; startMs: number | null }[]
  startMs: number | null
  endMs: number | null
  /** Start of the passage that holds most of the query's words. */
  momentMs: number | null
  /** The source's address at that moment, to the second. */
  link: string | null
  source: {
    id: string
    kind: string
    url: string | null
    title: string
    channel: string | null
    publishedAt: string | null
    durationMs: number | null
  }
}

/** Shapes a ranked hit for the response. `findWords` is {@link wordFinder} of the query. */
export function presentHit(hit: RankedHit, findWords: (text: string) => Token[]): PresentedHit {
  const { row } = hit
  const found = findWords(row.text)
  const momentMs = momentOf(row, bestPassage(found))
  return {
    segmentId: hit.segmentId,
    score: rounded(hit.score),
    scores: { words: rounded(hit.scores.words), vector: rounded(hit.scores.vector) },
    title: row.source.title,
    speaker: row.speaker,
    chapter: row.chapter,
    text: row.text,
    highlights: mergeRanges(found),
    turns: row.turns.map(({ speaker, offset, startMs }) => ({ speaker, offset, startMs })),
    startMs: row.startMs,
    endMs: row.endMs,
    momentMs,
    link: linkTo(row.source.url, momentMs ?? row.startMs),
    source: {
      ...row.source,
      publishedAt: row.source.publishedAt?.toISOString() ?? null,
    },
  }
}

function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6
}

/** Found words as ranges; the overlapping pairs of unspaced scripts become one. */
function mergeRanges(found: readonly Token[]): [number, number][] {
  const ranges: [number, number][] = []
  for (const { start, end } of found) {
    const last = ranges.at(-1)
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end)
    else ranges.push([start, end])
  }
  return ranges
}

/** About what is said in ten seconds. */
const passageCharacters = 160

/**
 * Where the passage with most distinct words of the query begins: its first found word. The earlier one
 * when two hold as many, counting repeats only among equals.
 */
export function bestPassage(found: readonly Token[]): number | null {
  let best: { start: number; distinct: number; words: number } | null = null
  for (const [at, first] of found.entries()) {
    const passage = found.slice(at, at + 64).filter((token) => token.start < first.start + passageCharacters)
    const distinct = new Set(passage.map((token) => token.term)).size
    const better =
      best === null || distinct > best.distinct || (distinct === best.distinct && passage.length > best.words)
    if (better) best = { start: first.start, distinct, words: passage.length }
  }
  return best?.start ?? null
}

/** When a character of a segment is said: by its word's time, else its turn's, else the segment's. */
export function momentOf(
  row: Pick<SegmentRow, 'text' | 'turns' | 'startMs' | 'wordStartsMs'>,
  offset: number | null,
): number | null {
  if (offset === null) return row.startMs
  if (row.wordStartsMs !== null && row.startMs !== null) {
    const wordsBefore = row.text.slice(0, offset).trimEnd()
    const startsWord = offset === 0 || /\s$/.test(row.text.slice(0, offset))
    const count = wordsBefore.trim() === '' ? 0 : wordsBefore.trim().split(/\s+/).length
    const afterStart = row.wordStartsMs[startsWord ? count : count - 1]
    if (afterStart !== undefined) return row.startMs + afterStart
  }
  const turn = row.turns.findLast((candidate) => candidate.offset <= offset && candidate.startMs !== null)
  return turn?.startMs ?? row.startMs
}

/**
 * A web address that plays from a moment: `t=83s` for YouTube, else the media fragment `#t=83`
 * (https://www.w3.org/TR/media-frags/). Null for anything that is not http or https.
 */
export function linkTo(address: string | null, momentMs: number | null): string | null {
  if (address === null || !URL.canParse(address)) return null
  const url = new URL(address)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  if (momentMs === null) return url.href
  const seconds = Math.floor(momentMs / 1000)
  if (/(^|\.)(youtube\.com|youtube-nocookie\.com|youtu\.be)$/.test(url.hostname)) {
    url.searchParams.set('t', `${seconds}s`)
  } else url.hash = `t=${seconds}`
  return url.href
}
