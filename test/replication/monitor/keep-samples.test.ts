import t from 'tap'
import { SampleKeeper } from '../../../replication/monitor/keep-samples.ts'
import { quietSample } from './sample-data.ts'

const start = Date.parse('2026-01-02T03:04:00Z')
const at = (second: number): Date => new Date(start - (start % 300_000) + second * 1000)
const lsn = (second: number, bytes: number) => ({
  text: `0/${bytes.toString(16).toUpperCase()}`,
  atMs: second * 1000,
  wallMs: start + second * 1000,
})
const lagging = (second: number, seconds: number) =>
  quietSample(at(second), { lag: { bytes: 0, seconds }, walBytesPerSecond: 1 })

t.test('of the looks between two kept ones the worst, with all that was written', async (t) => {
  const keeper = new SampleKeeper(15)
  t.match(keeper.add(lagging(0, 1), lsn(0, 0), 0), { lag: { seconds: 1 } }, 'the first at once')
  t.equal(keeper.add(lagging(5, 9), lsn(5, 90_000), 5_000), null)
  t.equal(keeper.add(lagging(10, 0), lsn(10, 90_000), 10_000), null)
  t.match(keeper.add(lagging(15, 0), lsn(15, 90_000), 15_000), {
    at: at(5).toISOString(),
    lag: { seconds: 9 },
    walBytesPerSecond: 6_000,
  })
  t.equal(keeper.add(lagging(20, 0), null, 20_000), null)
  t.match(keeper.add(lagging(30, 0), lsn(30, 90_000), 30_000), {
    lag: { seconds: 0 },
    walBytesPerSecond: 0,
  })
})

t.test('news of proofs is kept at once; a primary that was away, and a sleep, are no rate', async (t) => {
  const keeper = new SampleKeeper(15)
  keeper.add(lagging(0, 1), lsn(0, 0), 0)
  t.match(keeper.add({ ...lagging(5, 1), tables: [] }, null, 5_000), { tables: [], walBytesPerSecond: 1 })
  t.match(keeper.add(lagging(10, 1), lsn(10, 900), 10_000), { walBytesPerSecond: 1 })
  const asleep = { ...lsn(25, 9_000_000), wallMs: start + 8 * 3_600_000 }
  t.match(keeper.add(lagging(25, 1), asleep, 25_000), { walBytesPerSecond: 1 })
})
