import t from 'tap'
import {
  defaultWalLimits,
  judgeWalBudget,
  noWalHistory,
  rememberWal,
  type WalFacts,
  type WalHistory,
} from '../../../replication/relay/wal-budget.ts'

const gb = 1024 ** 3
const mb = 1024 ** 2

const quiet: WalFacts = {
  atMs: 0,
  slot: 'homeport_x',
  walStatus: 'reserved',
  retainedBytes: 0,
  safeWalBytes: 10 * gb,
  keepLimitBytes: 10 * gb,
  disk: null,
}

/** A slot that keeps so much of 10 GB. */
const keeping = (share: number, more: Partial<WalFacts> = {}): WalFacts => ({
  ...quiet,
  retainedBytes: share * 10 * gb,
  safeWalBytes: (1 - share) * 10 * gb,
  ...more,
})

t.test('what is used is the worse of the limit and the disk', async (t) => {
  const used = (facts: WalFacts): number => judgeWalBudget(facts, noWalHistory).usedShare
  t.equal(used(quiet), 0)
  t.equal(used(keeping(0.25)), 0.25)
  t.equal(used(keeping(1)), 1)
  t.equal(used({ ...keeping(0.9), safeWalBytes: -16 * mb }), 1, 'past the limit')
  const disk = { freeBytes: 2.5 * gb, totalBytes: 100 * gb }
  t.equal(used({ ...keeping(0.25), disk }), 0.5, 'the disk is nearer than the limit')
  t.equal(used({ ...keeping(0.75), disk: { ...disk, freeBytes: 90 * gb } }), 0.75)
  const unlimited = { ...keeping(0.4), safeWalBytes: null, keepLimitBytes: null }
  t.equal(used({ ...unlimited, disk: { ...disk, freeBytes: 12 * gb } }), 0.25)
  t.equal(used(unlimited), 0.5, 'a guess where nothing is known')
  t.match(judgeWalBudget(unlimited, noWalHistory).message, /50 % of 8\.0 GB \(a guess/)
  t.equal(used({ ...keeping(0.3), walStatus: 'unreserved' }), 1)
})

t.test('actions go up at once and down only when it is well below', async (t) => {
  let history: WalHistory = noWalHistory
  const seen: [number, string][] = []
  for (const share of [
    0.1, 0.49, 0.5, 0.49, 0.3, 0.24, 0.49, 0.6, 0.79, 0.8, 0.79, 0.61, 0.59, 0.26, 0.8, 0.1,
  ]) {
    const facts = keeping(share)
    const verdict = judgeWalBudget(facts, history)
    history = rememberWal(history, facts, verdict)
    seen.push([share, verdict.action])
  }
  t.strictSame(seen, [
    [0.1, 'hold'],
    [0.49, 'hold'],
    [0.5, 'spool'],
    [0.49, 'spool'],
    [0.3, 'spool'],
    [0.24, 'hold'],
    [0.49, 'hold'],
    [0.6, 'spool'],
    [0.79, 'spool'],
    [0.8, 'pauseIngest'],
    [0.79, 'pauseIngest'],
    [0.61, 'pauseIngest'],
    [0.59, 'spool'],
    [0.26, 'spool'],
    [0.8, 'pauseIngest'],
    [0.1, 'hold'],
  ])
  const early = { ...defaultWalLimits, spoolShare: 0.1 }
  t.equal(judgeWalBudget(keeping(0.1), noWalHistory, early).action, 'spool', 'RELAY_WAL_SHARE')
})

t.test('a disk that is nearly full pauses ingest, whatever fills it', async (t) => {
  const disk = (freeGb: number, totalGb: number) => ({ freeBytes: freeGb * gb, totalBytes: totalGb * gb })
  const action = (freeGb: number, totalGb: number, before: WalHistory['action'] = 'hold'): string =>
    judgeWalBudget({ ...keeping(0.01), disk: disk(freeGb, totalGb) }, { ...noWalHistory, action: before })
      .action
  t.equal(action(3.9, 500), 'pauseIngest', 'under 4 GB')
  t.equal(action(4.1, 500), 'hold')
  t.equal(action(4.1, 500, 'pauseIngest'), 'pauseIngest', 'not yet well above')
  t.equal(action(6, 500, 'pauseIngest'), 'hold')
  t.equal(action(1.9, 20), 'pauseIngest', 'under a tenth of a small one')
  t.equal(action(2.1, 20), 'hold')
  const { message } = judgeWalBudget({ ...keeping(0.01), disk: disk(3, 500) }, noWalHistory)
  t.match(message, /its disk has only 3\.0 GB left/)
})

t.test('a spool that is nearly full pauses ingest', async (t) => {
  const judge = (bytes: number, leftBytes: number) =>
    judgeWalBudget({ ...keeping(0.3), spool: { bytes, leftBytes } }, noWalHistory)
  t.equal(judge(0, 100 * gb).action, 'hold')
  t.equal(judge(79 * mb, 21 * mb).action, 'hold')
  t.equal(judge(80 * mb, 20 * mb).action, 'pauseIngest')
  t.match(judge(80 * mb, 20 * mb).message, /the spool is 80 % full/)
  t.equal(judge(0, 0).action, 'pauseIngest', 'it could take nothing')
})

/** A look every two seconds at what `retained` says. */
function watch(
  seconds: number,
  look: (second: number) => Partial<WalFacts>,
): ReturnType<typeof judgeWalBudget> {
  let history: WalHistory = noWalHistory
  for (let second = 0; ; second += 2) {
    const facts = { ...quiet, ...look(second), atMs: second * 1000 }
    const verdict = judgeWalBudget(facts, history)
    if (second >= seconds) return verdict
    history = rememberWal(history, facts, verdict)
  }
}

/** A slot that stands still while the log grows. */
const standing = (bytes: number): Partial<WalFacts> => ({
  retainedBytes: bytes,
  safeWalBytes: 10 * gb - bytes,
})

t.test('a slot that stands still is cut off when the log has grown so far', async (t) => {
  const rate = mb
  const verdict = watch(300, (second) => standing(second * rate))
  t.equal(verdict.secondsToCut, (10 * gb - 300 * rate) / rate)
  t.equal(
    verdict.message,
    'the slot keeps 300.0 MB of log, 2 % of what it may (max_slot_wal_keep_size 10.0 GB); at this rate it is cut off in 2 h 45 min',
  )
  t.equal(watch(4, (second) => standing(second * rate)).secondsToCut, null, 'too little was seen')
  t.equal(watch(300, () => standing(5 * gb)).secondsToCut, null, 'nothing grows')
  t.equal(watch(300, (second) => standing(second * 100)).secondsToCut, null, 'no end in sight')
})

t.test('what has just begun shows soon, and a pause does not make it forgotten', async (t) => {
  const begun = watch(600, (second) => standing(Math.max(0, second - 500) * mb))
  t.ok((begun.secondsToCut ?? Infinity) < 3 * 3600, `a minute and a half of it: ${begun.secondsToCut} s`)
  const paused = watch(600, (second) => standing(Math.min(second, 480) * mb))
  t.ok((paused.secondsToCut ?? Infinity) < 6 * 3600, `stopped two minutes ago: ${paused.secondsToCut} s`)
  t.equal(watch(3000, (second) => standing(Math.min(second, 480) * mb)).secondsToCut, null, 'long over')
})

t.test('a slot that follows in steps is not cut off', async (t) => {
  // 10 MB a second, and the restart position moves every 14 seconds.
  t.equal(watch(601, (second) => standing((second % 14) * 10 * mb)).secondsToCut, null)
  t.equal(watch(613, (second) => standing((second % 14) * 10 * mb)).secondsToCut, null)
  const creeping = watch(600, (second) => standing((second % 14) * 10 * mb + second * mb))
  const expected = (10 * gb - 600 * mb) / mb
  t.ok(Math.abs((creeping.secondsToCut ?? 0) - expected) < 0.1 * expected, 'one that slips back in steps is')
})

t.test('the disk may be full before the slot is cut off', async (t) => {
  const total = 100 * gb
  const verdict = watch(300, (second) => ({
    ...standing(second * mb),
    disk: { totalBytes: total, freeBytes: 20 * gb - second * 10 * mb },
  }))
  t.equal(verdict.secondsToCut, Math.round((20 * gb - 3000 * mb) / (10 * mb)))
  t.match(verdict.message, /at this rate its disk is full in 29 min/)
  const unlimited = watch(300, (second) => ({
    retainedBytes: second * mb,
    safeWalBytes: null,
    keepLimitBytes: null,
    disk: { totalBytes: total, freeBytes: 20 * gb },
  }))
  t.equal(
    unlimited.secondsToCut,
    20 * 1024,
    'the log that is kept counts also where the disk did not shrink yet',
  )
})

t.test('a slot that is lost is beyond help', async (t) => {
  const verdict = judgeWalBudget({ ...quiet, walStatus: 'lost', safeWalBytes: null }, noWalHistory)
  t.match(verdict, { action: 'hold', usedShare: 1, secondsToCut: 0, message: /homeport_x is lost/ })
})

t.test('the history does not grow for ever', async (t) => {
  let history: WalHistory = noWalHistory
  for (let second = 0; second < 5000; second += 5) {
    const facts = { ...quiet, atMs: second * 1000 }
    history = rememberWal(history, facts, judgeWalBudget(facts, history))
  }
  t.ok(history.samples.length <= 122)
})
