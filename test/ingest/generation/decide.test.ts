import t from 'tap'
import {
  changedShare,
  decideGeneration,
  type GenerationRow,
  type GenerationState,
} from '../../../ingest/generation/decide.ts'

const row = (id: number, over: Partial<GenerationRow> = {}): GenerationRow => ({
  id,
  name: 'lsa',
  kind: 'lsa',
  fingerprint: 'f',
  dimensions: 4,
  state: 'active',
  fitted_segments: 100,
  deleted_since: 0,
  ...over,
})
const onnx = (id: number, fingerprint: string, state: GenerationRow['state']): GenerationRow =>
  row(id, { kind: 'onnx', fingerprint, state, fitted_segments: null })
const state = (over: Partial<GenerationState>): GenerationState => ({
  wanted: { kind: 'lsa' },
  segments: 100,
  publicSegments: 100,
  generations: [],
  force: false,
  ...over,
})

t.test('a share counts what came and what went', async (t) => {
  t.equal(changedShare({ before: 100, now: 100, deletedSince: 0 }), 0)
  t.equal(changedShare({ before: 100, now: 120, deletedSince: 0 }), 0.2)
  t.equal(changedShare({ before: 100, now: 81, deletedSince: 19 }), 0.19)
  t.equal(changedShare({ before: 100, now: 100, deletedSince: 100 }), 1, 'all replaced')
  t.equal(changedShare({ before: 0, now: 1, deletedSince: 0 }), Infinity)
  t.equal(changedShare({ before: 0, now: 0, deletedSince: 0 }), 0)
})

const building = row(2, { state: 'building' })
const table: [string, Partial<GenerationState>, string, number | null, number[]][] = [
  ['nothing stored', { segments: 0, publicSegments: 0 }, 'none', null, []],
  ['only private segments', { publicSegments: 0 }, 'none', null, []],
  ['the first', {}, 'build', null, []],
  ['active and recent', { generations: [row(1)] }, 'keep', 1, []],
  ['active, 19 more', { generations: [row(1)], publicSegments: 119 }, 'keep', 1, []],
  ['active, a fifth more', { generations: [row(1)], publicSegments: 120 }, 'build', null, []],
  [
    'active, a fifth gone',
    { generations: [row(1, { deleted_since: 20 })], publicSegments: 80 },
    'build',
    null,
    [],
  ],
  [
    'all public ones gone',
    { generations: [row(1, { deleted_since: 100 })], publicSegments: 0 },
    'keep',
    1,
    [],
  ],
  ['forced', { generations: [row(1)], force: true }, 'build', null, []],
  ['forced, one half made', { generations: [row(1), building], force: true }, 'build', null, [2]],
  ['a crash while the first was made', { generations: [building] }, 'finish', 2, []],
  ['active again enough', { generations: [row(1), building] }, 'keep', 1, [2]],
  [
    'half made, and fits no more',
    { generations: [row(2, { state: 'building', fitted_segments: 50 })] },
    'build',
    null,
    [2],
  ],
  [
    'two half made: the newer goes on',
    { generations: [building, row(3, { state: 'building' })] },
    'finish',
    3,
    [2],
  ],
  [
    'another model is wanted',
    { generations: [row(1)], wanted: { kind: 'onnx', fingerprint: 'x' } },
    'build',
    null,
    [],
  ],
  [
    'the sentence model is there',
    { generations: [onnx(1, 'x', 'active')], wanted: { kind: 'onnx', fingerprint: 'x' }, publicSegments: 9 },
    'keep',
    1,
    [],
  ],
  [
    'the sentence model changed',
    { generations: [onnx(1, 'x', 'active')], wanted: { kind: 'onnx', fingerprint: 'y' } },
    'build',
    null,
    [],
  ],
  [
    'half made by the model wanted before',
    {
      generations: [onnx(1, 'x', 'active'), onnx(2, 'y', 'building')],
      wanted: { kind: 'onnx', fingerprint: 'z' },
    },
    'build',
    null,
    [2],
  ],
  ['back to lexical', { generations: [onnx(1, 'x', 'active')] }, 'build', null, []],
  [
    'back to lexical with nothing to fit on',
    { generations: [onnx(1, 'x', 'active')], publicSegments: 0 },
    'none',
    null,
    [],
  ],
  ['retired ones do not count', { generations: [row(1, { state: 'retired' })] }, 'build', null, []],
]

t.test('what becomes of the generations', async (t) => {
  for (const [what, over, action, use, abandon] of table) {
    const decision = decideGeneration(state(over))
    t.same([decision.action, decision.use?.id ?? null, decision.abandon], [action, use, abandon], what)
  }
})
