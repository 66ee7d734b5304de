import t from 'tap'
import { countTerms } from '../../../core/words.ts'
import { planSegments, type StoredSegment } from '../../../ingest/store/source-plan.ts'
import type { SegmentRow } from '../../../ingest/store/source-rows.ts'

function segment(id: string, over: Partial<SegmentRow> = {}): SegmentRow {
  const text = `what is said in ${id}`
  return {
    id,
    ordinal: 0,
    startMs: 0,
    endMs: 1000,
    chapter: null,
    speaker: 'Ann',
    text,
    turns: [{ speaker: 'Ann', offset: 0, startMs: 0 }],
    wordStartsMs: [0, 100],
    confidence: 0.1,
    engine: 'webvtt',
    terms: countTerms(text),
    ...over,
  }
}

function stored(of: SegmentRow, over: Partial<StoredSegment> = {}): StoredSegment {
  return {
    id: of.id,
    ordinal: of.ordinal,
    // As jsonb gives it back: keys in an order of its own.
    turns: of.turns.map(({ speaker, offset, startMs }) => ({ offset, speaker, startMs })),
    word_starts_ms: of.wordStartsMs === null ? null : [...of.wordStartsMs],
    engine: of.engine,
    confidence: of.confidence === null ? null : Math.fround(of.confidence),
    terms: `{${of.terms.terms.join(',')}}`,
    counts: `{${of.terms.counts.join(',')}}`,
    ...over,
  }
}

t.test('what is stored already is left alone', async (t) => {
  const all = [segment('1'), segment('2', { wordStartsMs: null, confidence: null })]
  const plan = planSegments(
    all.map((one) => stored(one)),
    all,
  )
  t.match(plan, { added: [], updated: [], recounted: [], removed: [], unchanged: 2 })
})

t.test('every kind of difference is found', async (t) => {
  const one = segment('1')
  const differences: [string, Partial<StoredSegment>][] = [
    ['place', { ordinal: 7 }],
    ['speaker of a turn', { turns: [{ speaker: 'Bob', offset: 0, startMs: 0 }] }],
    ['word times', { word_starts_ms: [0, 101] }],
    ['missing word times', { word_starts_ms: null }],
    ['engine', { engine: 'srt' }],
    ['confidence', { confidence: 0.5 }],
    ['no confidence', { confidence: null }],
  ]
  for (const [what, over] of differences) {
    const plan = planSegments([stored(one, over)], [one])
    t.same([plan.updated, plan.recounted, plan.unchanged], [[one], [], 0], what)
  }
  for (const over of [{ terms: '{1,2}' }, { counts: '{1,2}' }, { terms: null, counts: null }]) {
    const plan = planSegments([stored(one, over)], [one])
    t.same([plan.updated, plan.recounted, plan.unchanged], [[], [one], 0], JSON.stringify(over))
  }
})

t.test('new ones are added and gone ones removed, whatever their place', async (t) => {
  const [a, b, c] = [segment('1'), segment('2'), segment('3')]
  const plan = planSegments([stored(a), stored(b)], [c, b])
  t.same(plan.added, [c])
  t.same(plan.removed, ['1'])
  t.equal(plan.unchanged, 1)
})
