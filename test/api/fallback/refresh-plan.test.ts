import t from 'tap'
import {
  isCompactionDue,
  isReload,
  isSaveDue,
  sameGeneration,
  touchedIds,
} from '../../../api/fallback/refresh-plan.ts'
import { Watermark } from '../../../api/fallback/watermark.ts'
import type { ModelGeneration } from '../../../core/embed/embedder.ts'

t.test('touched: new, changed, and no longer there', async (t) => {
  const held: [string, number][] = [
    ['same', 10],
    ['changed', 11],
    ['gone', 12],
  ]
  const found: [string, number][] = [
    ['same', 10],
    ['changed', 20],
    ['new', 21],
  ]
  t.same([...touchedIds(held, found)].sort(), ['changed', 'gone', 'new'])
  t.same([...touchedIds([], [])], [])
})

t.test('a generation is the same by id, fingerprint and dimensions, not by its weights', async (t) => {
  const one: ModelGeneration = {
    id: 1,
    name: 'lsa',
    kind: 'lsa',
    fingerprint: 'f',
    dimensions: 8,
    wordsWeight: 0.8,
    vectorWeight: 0.2,
  }
  t.equal(sameGeneration(one, { ...one, wordsWeight: 0.5 }), true)
  t.equal(sameGeneration(one, { ...one, fingerprint: 'g' }), false)
  t.equal(sameGeneration(one, { ...one, id: 2 }), false)
  t.equal(sameGeneration(one, null), false)
  t.equal(sameGeneration(null, null), true)
})

t.test('when to load anew, to compact and to save', async (t) => {
  t.equal(isReload(5_000, 100), false)
  t.equal(isReload(5_001, 100), true)
  t.equal(isReload(20_000, 100_000), false)
  t.equal(isCompactionDue({ base: 100, tail: 500, dead: 0 }), false)
  t.equal(isCompactionDue({ base: 100, tail: 501, dead: 0 }), true)
  t.equal(isCompactionDue({ base: 10_000, tail: 1_000, dead: 1_001 }), true)
  const facts = { segments: 5, changed: true, everSaved: true, sinceSaveMs: 60_000 }
  t.equal(isSaveDue(facts), true)
  t.equal(isSaveDue({ ...facts, sinceSaveMs: 59_999 }), false)
  t.equal(isSaveDue({ ...facts, sinceSaveMs: 0, everSaved: false }), true)
  t.equal(isSaveDue({ ...facts, changed: false }), false)
  t.equal(isSaveDue({ ...facts, segments: 0 }), false, 'nothing does not take the place of something')
})

t.test('the window reaches back a quarter of an hour, and a little further in numbers', async (t) => {
  const marks = (n: number) => ({ segments: n, embeddings: n, tombstones: n })
  const minute = 60_000
  const watermark = new Watermark(marks(10_000), 0)
  t.same(watermark.low(), marks(5_000))
  watermark.observe(marks(30_000), 5 * minute)
  watermark.observe({ ...marks(0), tombstones: 40_000 }, 10 * minute)
  t.same(watermark.newest, { segments: 30_000, embeddings: 30_000, tombstones: 40_000 })
  t.same(watermark.low(), marks(5_000), 'what was seen first still counts')
  watermark.observe(marks(50_000), 20 * minute)
  t.same(watermark.low(), marks(25_000), 'as it was a quarter of an hour before')
  t.same(new Watermark(marks(7), 0).low(), marks(0))

  watermark.buried([26_000, 26_001])
  t.same(watermark.checkTombstones(25_000), { count: 2, sum: 52_001n })
  t.same(watermark.checkTombstones(26_000), { count: 1, sum: 26_001n })
  watermark.observe(marks(60_000), 40 * minute)
  t.same(watermark.checkTombstones(0), { count: 0, sum: 0n }, 'those below the window are forgotten')
})
