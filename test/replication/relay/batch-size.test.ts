import t from 'tap'
import { firstSize, nextSize, sizeFor, type BatchSize } from '../../../replication/relay/batch-size.ts'

const full = (size: BatchSize, tookMs: number) =>
  nextSize(size, { rows: size.maxRows, wasCut: false, tookMs })

t.test('full batches that are quick grow, up to a limit', async (t) => {
  let size = firstSize
  for (let step = 0; step < 20; step += 1) size = full(size, 1_500)
  t.same(size, { maxRows: 20_000, maxBytes: 16 * 1024 * 1024 })
})

t.test('slow ones shrink, down to a limit', async (t) => {
  let size = firstSize
  for (let step = 0; step < 20; step += 1) size = full(size, 5_500)
  t.same(size, { maxRows: 100, maxBytes: 256 * 1024 })
  t.same(nextSize(firstSize, { rows: 5, wasCut: false, tookMs: 5_500 }), {
    maxRows: 500,
    maxBytes: 1024 * 1024,
  })
})

t.test('a batch that was cut by its bytes grows too', async (t) => {
  const grown = nextSize(firstSize, { rows: 10, wasCut: true, tookMs: 100 })
  t.equal(grown.maxBytes, firstSize.maxBytes * 2)
})

t.test('one that was not full, or neither quick nor slow, changes nothing', async (t) => {
  t.same(nextSize(firstSize, { rows: 10, wasCut: false, tookMs: 5 }), firstSize)
  t.same(full(firstSize, 3_000), firstSize)
})

t.test('over HTTPS the segments are counted', async (t) => {
  t.same(sizeFor('gateway', firstSize, 100), {
    maxRows: 20_000,
    maxBytes: 16 * 1024 * 1024,
    maxSegments: 100,
  })
  t.same(sizeFor('direct', firstSize, 100), { ...firstSize, partBytes: 1024 * 1024 })
})
