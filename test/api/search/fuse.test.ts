import t from 'tap'
import fc from 'fast-check'
import { candidateDepth, compareIds, fuse } from '../../../api/search/fuse.ts'

void t.test('scores are divided by their best and weighted', async (t) => {
  const fused = fuse(
    [
      { segmentId: '1', words: 4, vector: 0.2 },
      { segmentId: '2', words: 2, vector: 0.8 },
      { segmentId: '3', words: 0, vector: -0.5 },
    ],
    { words: 0.8, vector: 0.2 },
  )
  t.same(
    fused.map(({ segmentId, score }) => [segmentId, Number(score.toFixed(6))]),
    [
      ['1', 0.85],
      ['2', 0.6],
      ['3', 0],
    ],
  )
})

void t.test('nothing to divide by gives zero, not NaN', async (t) => {
  const weights = { words: 0.5, vector: 0.5 }
  t.same(fuse([], weights), [])
  t.equal(fuse([{ segmentId: '1', words: 0, vector: -1 }], weights)[0]?.score, 0)
})

void t.test('ties go to the smaller id as the database orders int8', async (t) => {
  const ids = [
    '10',
    '9',
    '-9223372036854775808',
    '9223372036854775807',
    '-5',
    '9007199254740993',
    '9007199254740992',
  ]
  const tied = fuse(
    ids.map((segmentId) => ({ segmentId, words: 1, vector: 0 })),
    { words: 1, vector: 0 },
  )
  t.same(
    tied.map((each) => each.segmentId),
    ['-9223372036854775808', '-5', '9', '10', '9007199254740992', '9007199254740993', '9223372036854775807'],
  )
  t.equal(compareIds('7', '7'), 0)
})

void t.test('the order of the candidates does not matter', async () => {
  const candidate = fc.record({
    segmentId: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    words: fc.constantFrom(0, 0.5, 1, 7),
    vector: fc.constantFrom(-0.3, 0, 0.4, 0.9),
  })
  fc.assert(
    fc.property(fc.uniqueArray(candidate, { selector: (each) => each.segmentId }), (candidates) => {
      const weights = { words: 0.8, vector: 0.2 }
      const forward = fuse(candidates, weights).map((each) => each.segmentId)
      const backward = fuse([...candidates].reverse(), weights).map((each) => each.segmentId)
      return JSON.stringify(forward) === JSON.stringify(backward)
    }),
  )
})

void t.test('the first 50 hits are pages of one ranking', async (t) => {
  t.equal(candidateDepth({ limit: 10, offset: 0 }), candidateDepth({ limit: 10, offset: 40 }))
  t.equal(candidateDepth({ limit: 10, offset: 41 }), 200)
  t.equal(candidateDepth({ limit: 100, offset: 500 }), 600)
})
