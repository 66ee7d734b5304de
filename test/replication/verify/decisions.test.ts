import t from 'tap'
import { publishedTables } from '../../../core/published-tables.ts'
import { judgeFindings, type TableFindings } from '../../../replication/verify/findings.ts'
import { nextChunkRows, shouldPause, Throttle } from '../../../replication/verify/pace.ts'
import { restAfter, Rests } from '../../../replication/verify/rests.ts'
import { isWhole, tablesOfTier } from '../../../replication/verify/tier.ts'
import { measure } from '../../../replication/verify/progress.ts'

t.test('a chunk grows and shrinks towards its time, by four times at most', async (t) => {
  const next = (rows: number, elapsedMs: number) => nextChunkRows({ rows, elapsedMs, targetMs: 500 })
  t.equal(next(2000, 500), 2000)
  t.equal(next(2000, 250), 4000)
  t.equal(next(2000, 0), 8000)
  t.equal(next(2000, 1000), 1000)
  t.equal(next(2000, 60_000), 500)
  t.equal(next(100, 60_000), 100)
  t.equal(next(500_000, 1), 500_000)
})

t.test('a server rests after a quarter of a millisecond of work, whatever a row costs', async (t) => {
  t.strictSame([0.004, 0.0005, 1, 0, Infinity].map(restAfter), [63, 500, 8, 2000, 8])
  const rests = new Rests()
  const hash = (rows: number, rowMs: number, hashed = rows) => {
    const plan = rests.plan('segments', rows)
    rests.took('segments', { ...plan, hashed, serverMs: hashed * rowMs })
    return plan
  }
  t.strictSame(hash(2000, 0.01), { rows: 2000, restEveryRows: null })
  t.strictSame(hash(8000, 0.004), { rows: 2000, restEveryRows: null }, 'only a few rows without a rest')
  t.strictSame(hash(50, 0.1), { rows: 50, restEveryRows: null }, 'too few to learn from')
  t.strictSame(hash(9000, 1, 0), { rows: 4000, restEveryRows: null }, 'and where none is published')
  t.strictSame(hash(9000, 0.02), { rows: 8000, restEveryRows: null }, 'the next is larger')
  t.strictSame(hash(9000, 0.5), { rows: 9000, restEveryRows: 63 }, 'the least busy moment counts')
  t.strictSame(hash(9000, 0.5), { rows: 9000, restEveryRows: 63 }, 'and no time that rests are part of')
  t.strictSame(rests.plan('sources', 9000), { rows: 2000, restEveryRows: null }, 'each table by itself')
})

t.test('it waits for a cloud that falls behind, and not for ever', async (t) => {
  const mb = 2 ** 20
  const cases: readonly [atStart: number | null, now: number | null, pausedMs: number, waits: boolean][] = [
    [0, 15 * mb, 0, false],
    [0, 17 * mb, 0, true],
    [0, 17 * mb, 30_000, false],
    [100 * mb, 150 * mb, 0, false],
    [100 * mb, 250 * mb, 0, true],
    [null, 17 * mb, 0, true],
    [0, null, 0, false],
  ]
  for (const [atStartBytes, nowBytes, pausedMs, waits] of cases) {
    t.equal(
      shouldPause({ atStartBytes, nowBytes, pausedMs }),
      waits,
      `${atStartBytes} ${nowBytes} ${pausedMs}`,
    )
  }
})

t.test('the throttle says once that it waits, and full does not look', async (t) => {
  const lags = [0, 0, 2 ** 25, 2 ** 25, 5]
  const said: number[] = []
  let looks = 0
  const options = {
    readLagBytes: async () => lags[looks++] ?? 0,
    onPause: (bytes: number) => said.push(bytes),
    lagEveryMs: 0,
    pauseMs: 1,
  }
  const throttle = new Throttle({ ...options, pace: 'default' })
  const took = (isLast: boolean, ms: number) => {
    const chunk = { rows: 2000, hashed: 2000, restEveryRows: null, serverMs: ms, isLast }
    throttle.took('segments', chunk, ms)
  }
  t.equal(throttle.rows, 2000)
  await throttle.next('segments')
  took(false, 250)
  t.equal(throttle.rows, 4000)
  await throttle.next('segments')
  t.strictSame([looks, said], [5, [2 ** 25]])
  took(true, 1)
  t.equal(throttle.rows, 4000, 'a small rest says nothing about speed')
  const full = new Throttle({ ...options, pace: 'full', firstRows: 9000 })
  t.strictSame(await full.next('segments'), { rows: 9000, restEveryRows: null })
  t.equal(looks, 5)
  const stopped = new Throttle({ ...options, pace: 'full', signal: AbortSignal.abort(new Error('stop')) })
  await t.rejects(stopped.next('segments'), { message: 'stop' })
})

t.test('never match while anything is open', async (t) => {
  const sound: TableFindings = {
    primaryRows: 3,
    cloudRows: 3,
    shown: [],
    proven: 0,
    open: [],
    reason: null,
    lsn: '0/1',
  }
  const difference = { key: ['1'], kind: 'missing', columns: [] } as const
  const verdict = (more: Partial<TableFindings>) => judgeFindings('lexicon', { ...sound, ...more })
  t.match(verdict({}), { verdict: 'match', reason: null, moreDifferences: 0 })
  t.match(verdict({ open: [['7'], ['8']] }), { verdict: 'undetermined', reason: /^2 rows .*first: 7/ })
  t.match(verdict({ open: 'all' }), { verdict: 'undetermined', reason: /as a whole/ })
  t.match(verdict({ reason: 'no cloud' }), { verdict: 'undetermined', reason: 'no cloud' })
  t.match(verdict({ proven: 5, shown: [difference] }), { verdict: 'drift', moreDifferences: 4 })
  t.match(verdict({ proven: 1, shown: [difference], open: [['7']] }), {
    verdict: 'drift',
    reason: /a row .*7/,
  })
})

t.test('tiers share the keys and part the columns', async (t) => {
  const columns = (tier: 'both' | 'rows' | 'vectors') =>
    Object.fromEntries(tablesOfTier(publishedTables, tier).map((table) => [table.name, [...table.columns]]))
  t.equal(Object.keys(columns('both')).length, publishedTables.length)
  t.strictSame(columns('vectors'), {
    model_terms: ['model_id', 'term', 'basis'],
    embeddings: ['model_id', 'segment_id', 'embedding'],
  })
  t.strictSame(columns('rows')['embeddings'], ['model_id', 'segment_id', 'visibility', 'change_seq'])
  const whole = (tier: 'both' | 'rows' | 'vectors') =>
    publishedTables.filter((table) => isWhole(table, tier)).length
  t.strictSame(
    [whole('both'), whole('rows'), whole('vectors')],
    [publishedTables.length, publishedTables.length - 2, 0],
  )
})

t.test('rate and time left', async (t) => {
  t.strictSame(measure({ rows: 500, rowsExpected: 2000, seconds: 2 }), {
    rows: 500,
    rowsExpected: 2000,
    rowsPerSecond: 250,
    secondsLeft: 6,
  })
  t.equal(measure({ rows: 500, rowsExpected: 0, seconds: 2 }).secondsLeft, null)
  t.equal(measure({ rows: 0, rowsExpected: 10, seconds: 0 }).secondsLeft, null)
})
