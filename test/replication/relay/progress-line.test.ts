import t from 'tap'
import { progressLine, RowRate } from '../../../replication/relay/progress-line.ts'
import type { RelayStatus } from '../../../replication/relay/status-file.ts'
import { quietStatus } from './sample-status.ts'

const line = (change: Partial<RelayStatus>, rate = 0): string =>
  progressLine({ ...quietStatus, ...change }, rate)
const slot = (secondsToCut: number | null): RelayStatus['slot'] => ({
  name: 'x',
  retainedBytes: 1,
  usedShare: 0.5,
  secondsToCut,
})
const error = { code: 'CLOUD_UNREACHABLE', message: 'no answer', hint: null, at: '2026-01-02T03:04:05.000Z' }

t.test('what a person sees', async (t) => {
  t.equal(line({}), 'following (direct) · 0 rows/s · up to date · spool empty')
  t.equal(
    line({ lag: { seconds: 0.34, bytes: 12_288 }, transport: 'gateway' }, 1239.6),
    'following (gateway) · 1,240 rows/s · 0.3 s, 12.0 kB behind · spool empty',
  )
  t.equal(
    line({
      state: 'spooling',
      lag: { seconds: 7_500, bytes: 3 * 1024 ** 3 },
      slot: slot(11_400),
      spool: { batches: 1_234, bytes: 64 * 1024 ** 2, firstAfter: '0/1', endLsn: '0/2' },
      isIngestPaused: true,
      lastError: error,
    }),
    'spooling (CLOUD_UNREACHABLE) · 0 rows/s · 2 h 5 min, 3.0 GB behind · slot is cut in 3 h 10 min · ingest waits · spool 64.0 MB in 1,234',
  )
  t.equal(
    line({ state: 'starting', transport: null, lag: { seconds: null, bytes: null }, slot: null }),
    'starting · 0 rows/s · spool empty',
    'what is unknown is left out',
  )
  t.match(line({ lag: { seconds: null, bytes: 512 } }), / · 512 B behind · /)
  t.match(line({ lag: { seconds: 0, bytes: 512 }, state: 'draining' }), / · 0\.0 s, 512 B behind · /)
})

t.test('an error is named while it lasts only', async (t) => {
  t.match(line({ state: 'unreachable', lastError: error }), /^unreachable \(CLOUD_UNREACHABLE\)/)
  t.match(line({ state: 'following', lastError: error }), /^following \(direct\)/)
})

t.test('an end that is far away is left out', async (t) => {
  t.match(line({ slot: slot(86_400) }), /slot is cut in 24 h 0 min/)
  t.notMatch(line({ slot: slot(86_401) }), /cut/)
})

t.test('a rate of the last seconds', async (t) => {
  const rate = new RowRate()
  const seen = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].map((second) =>
    Math.round(rate.at(second * 1000, Math.min(second, 4) * 100)),
  )
  t.strictSame(seen, [0, 100, 100, 100, 100, 80, 67, 50, 33, 17, 0, 0, 0, 0])
  t.equal(new RowRate().at(0, 5), 0)
  const same = new RowRate()
  same.at(7, 5)
  t.equal(same.at(7, 9), 0, 'twice at the same moment')
})
