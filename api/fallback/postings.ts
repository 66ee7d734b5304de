import { termWeight } from '../../core/bm25.ts'
import type { Pause } from './pause.ts'
import type { TermTail } from './term-tail.ts'

/** Counts from here on stand in `large`: a posting has 8 bits for its count, 24 for its row. */
const largeCount = 255

/** Rows that postings can number. */
export const mostRows = 2 ** 24

/** For every term the rows that hold it, ascending, with the count in each: 4 bytes a pair. Never changed. */
export interface Postings {
  /** The terms that occur, in no particular order. */
  terms: Int32Array
  /** Term n's postings are entries[offsets[n]] to entries[offsets[n + 1]]. */
  offsets: Uint32Array
  /** row << 8 | min(count, 255) */
  entries: Uint32Array
  /** The count at an entry where it is 255 or more. */
  large: Map<number, number>
  /** Where a term is in `terms`. */
  ordinals: Map<number, number>
}

export function emptyPostings(): Postings {
  return openPostings(new Int32Array(0), new Uint32Array(1), new Uint32Array(0), new Map())
}

export function openPostings(
  terms: Int32Array,
  offsets: Uint32Array,
  entries: Uint32Array,
  large: Map<number, number>,
): Postings {
  const ordinals = new Map<number, number>()
  for (let ordinal = 0; ordinal < terms.length; ordinal++) ordinals.set(terms[ordinal]!, ordinal)
  return { terms, offsets, entries, large, ordinals }
}

/** Adds a term's share of the BM25 score to every row that holds it. */
export function addScores(
  postings: Postings,
  query: { term: number; weight: number },
  lengths: Uint32Array,
  averageLength: number,
  scores: Float64Array,
): void {
  const ordinal = postings.ordinals.get(query.term)
  if (ordinal === undefined) return
  const end = postings.offsets[ordinal + 1]!
  for (let at = postings.offsets[ordinal]!; at < end; at++) {
    const entry = postings.entries[at]!
    const row = entry >>> 8
    const small = entry & 0xff
    const count = small < largeCount ? small : postings.large.get(at)!
    scores[row] = scores[row]! + query.weight * termWeight(count, lengths[row]!, averageLength)
  }
}

/**
 * Postings over the rows that stay: those of `base` and those of `tail`, whose rows come after.
 *
 * @param newRows the new number of each old row; -1 for one that goes; ascending otherwise
 */
export async function mergePostings(
  base: Postings,
  tail: TermTail,
  newRows: Int32Array,
  pause: Pause,
): Promise<Postings> {
  const ordinals = new Map(base.ordinals)
  for (const [at, term] of tail.terms.view().entries()) {
    if (!ordinals.has(term)) ordinals.set(term, ordinals.size)
    if ((at & 0xfff) === 0) await pause()
  }

  const offsets = new Uint32Array(ordinals.size + 1)
  await eachPosting(base, tail, newRows, ordinals, pause, (ordinal) => {
    offsets[ordinal + 1]!++
  })
  for (let ordinal = 0; ordinal < ordinals.size; ordinal++) offsets[ordinal + 1]! += offsets[ordinal]!

  const entries = new Uint32Array(offsets[ordinals.size]!)
  const large = new Map<number, number>()
  const next = offsets.slice()
  await eachPosting(base, tail, newRows, ordinals, pause, (ordinal, row, count) => {
    const at = next[ordinal]!++
    entries[at] = (row << 8) | Math.min(count, largeCount)
    if (count >= largeCount) large.set(at, count)
  })
  return dropUnused({ terms: Int32Array.from(ordinals.keys()), offsets, entries, large, ordinals })
}

async function eachPosting(
  base: Postings,
  tail: TermTail,
  newRows: Int32Array,
  ordinals: ReadonlyMap<number, number>,
  pause: Pause,
  visit: (ordinal: number, row: number, count: number) => void,
): Promise<void> {
  for (let ordinal = 0; ordinal < base.terms.length; ordinal++) {
    const end = base.offsets[ordinal + 1]!
    for (let at = base.offsets[ordinal]!; at < end; at++) {
      const entry = base.entries[at]!
      const row = newRows[entry >>> 8]!
      if (row < 0) continue
      const small = entry & 0xff
      visit(ordinal, row, small < largeCount ? small : base.large.get(at)!)
    }
    if ((ordinal & 0xff) === 0) await pause()
  }
  for (let index = 0; index < tail.rows; index++) {
    const row = newRows[tail.firstRow + index]!
    if (row < 0) continue
    const end = tail.ends.values[index]!
    for (let at = tail.startOf(index); at < end; at++) {
      visit(ordinals.get(tail.terms.values[at]!)!, row, tail.counts.values[at]!)
    }
    if ((index & 0x3f) === 0) await pause()
  }
}

/** Terms whose last row went are forgotten. */
function dropUnused(postings: Postings): Postings {
  const used: number[] = []
  for (let ordinal = 0; ordinal < postings.terms.length; ordinal++) {
    if (postings.offsets[ordinal + 1]! > postings.offsets[ordinal]!) used.push(ordinal)
  }
  if (used.length === postings.terms.length) return postings
  const offsets = new Uint32Array(used.length + 1)
  used.forEach((ordinal, at) => (offsets[at + 1] = postings.offsets[ordinal + 1]!))
  return openPostings(
    Int32Array.from(used, (ordinal) => postings.terms[ordinal]!),
    offsets,
    postings.entries,
    postings.large,
  )
}
