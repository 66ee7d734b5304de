import t from 'tap'
import type { Finding } from '../../../replication/finding.ts'
import type { ReplicationHealth } from '../../../replication/health.ts'
import { judgeContent } from '../../../replication/monitor/content-watch.ts'
import type { Alert } from '../../../replication/monitor/sample.ts'
import { walRate, wellFounded } from '../../../replication/monitor/server-look.ts'
import {
  easeLimits,
  judgeDisk,
  judgeForecast,
  judgeHeartbeat,
  judgeRecall,
  judgeVersions,
  keepFailing,
  raisedCodes,
  remarksOn,
  type Raised,
} from '../../../replication/monitor/verdicts.ts'
import type { ServerFacts } from '../../../replication/server-facts.ts'

type Before = Alert['severity'] | null

function raised(code: string, before: Before): Raised {
  return new Map(before === null ? [] : [[code, before]])
}

const severity = (findings: readonly Finding[]): Before => findings[0]?.severity ?? null

t.test('the end of the slot: a day is a warning, four hours an error, and back a little later', async (t) => {
  const cases: [hours: number | null, before: Before, wanted: Before][] = [
    [null, null, null],
    [25, null, null],
    [23, null, 'warning'],
    [4.5, null, 'warning'],
    [3.9, null, 'error'],
    [29, 'warning', 'warning'],
    [31, 'warning', null],
    [4.5, 'warning', 'warning'],
    [4.5, 'error', 'error'],
    [5.1, 'error', 'warning'],
  ]
  for (const [hours, before, wanted] of cases) {
    const end = hours === null ? null : { seconds: hours * 3600, what: 'it is cut off' }
    const found = judgeForecast(end, 'homeport_1', raised('SLOT_ENDS_SOON', before))
    t.equal(severity(found), wanted, `${hours} h after ${before}`)
  }
  const at = { seconds: 3 * 3600 + 600, what: 'it is cut off' }
  t.match(judgeForecast(at, 'homeport_1', new Map())[0]?.message, /^the slot homeport_1 is cut in 3 h 10 min/)
  const full = { seconds: 60, what: 'its disk is full' }
  t.match(judgeForecast(full, 's', new Map())[0]?.message, /^the disk of the slot s is full in 1 min/)
})

t.test('the disk: 80 and 90 %, and back at 75 and 85', async (t) => {
  const cases: [used: number, before: Before, wanted: Before][] = [
    [79, null, null],
    [80, null, 'warning'],
    [90, null, 'error'],
    [76, 'warning', 'warning'],
    [74, 'warning', null],
    [86, 'warning', 'warning'],
    [86, 'error', 'error'],
    [84, 'error', 'warning'],
    [74, 'error', null],
  ]
  for (const [used, before, wanted] of cases) {
    const disk = { freeBytes: 100 - used, totalBytes: 100 }
    t.equal(severity(judgeDisk(disk, raised('DISK', before))), wanted, `${used} % after ${before}`)
  }
  t.strictSame(judgeDisk(null, new Map()), [])
})

t.test('who is over a limit of the lag has to come back further', async (t) => {
  const limits = { maxLagSeconds: 10, maxLagBytes: 1000 }
  t.strictSame(easeLimits(limits, new Map()), limits)
  t.strictSame(easeLimits(limits, new Map([['LAG', 'error']])), { maxLagSeconds: 8, maxLagBytes: 800 })
  t.strictSame(easeLimits({}, new Map([['LAG', 'error']])), {})
})

t.test('recall: below 0.9, and back at 0.93', async (t) => {
  const cases: [recall: number | null, before: Before, wanted: Before][] = [
    [null, null, null],
    [0.9, null, null],
    [0.89, null, 'warning'],
    [0.92, 'warning', 'warning'],
    [0.93, 'warning', null],
  ]
  for (const [recallAt10, before, wanted] of cases) {
    const recall = recallAt10 === null ? null : { model: 1, recallAt10, queries: 50, at: '' }
    t.equal(severity(judgeRecall(recall, raised('RECALL_LOW', before))), wanted, `${recallAt10}`)
  }
})

const facts = (change: Partial<ServerFacts>): ServerFacts =>
  ({
    versionNumber: 170002,
    versionText: '17.2',
    encoding: 'UTF8',
    clientEncoding: null,
    inRecovery: false,
    database: 'd',
    role: 'r',
    pgvector: '0.8.4',
    pgvectorAvailable: '0.8.4',
    ...change,
  }) as ServerFacts

t.test(
  'versions: an old pgvector is a remark, a different one a warning, an older Postgres nothing',
  async (t) => {
    const codes = (primary: Partial<ServerFacts>, cloud: Partial<ServerFacts>): string[] =>
      judgeVersions(facts(primary), facts(cloud)).map(({ code, severity }) => `${severity} ${code}`)
    t.strictSame(codes({}, {}), [])
    t.strictSame(codes({}, { versionNumber: 150020 }), [])
    t.strictSame(codes({ pgvector: '0.8.0' }, { pgvector: '0.8.0' }), [])
    t.strictSame(codes({}, { pgvector: '0.8.5' }), ['warning PGVECTOR_DIFFERS'])
    t.strictSame(codes({}, { versionNumber: 140001 }), ['error POSTGRES_TOO_OLD'])
    t.strictSame(remarksOn(facts({}), facts({})), [])
    const old = facts({ pgvector: '0.8.0' })
    t.match(remarksOn(facts({}), old), [/^cloud: pgvector 0.8.0 .*CVE-2026-3172/])
    t.match(remarksOn(old, old), [/^primary and cloud: pgvector 0.8.0/])
  },
)

const health = (change: object): ReplicationHealth =>
  ({
    subscription: { enabled: true },
    relay: null,
    workers: { applyPid: 1 },
    slot: null,
    lag: { bytes: 0, seconds: 0 },
    ...change,
  }) as ReplicationHealth

const failing: Finding = {
  code: 'SUBSCRIPTION_FAILING',
  side: 'cloud',
  severity: 'error',
  message: 'it fails',
  fix: 'mend it',
}

t.test('a heartbeat that does not travel is said when nothing else says why', async (t) => {
  const codes = (change: object, found: Finding[] = [], before: Before = null): string =>
    judgeHeartbeat(health(change), found, { limitSeconds: 60, raised: raised('HEARTBEAT_STUCK', before) })
      .map(({ message }) => message)
      .join()
  t.equal(codes({}), '')
  t.equal(codes({ lag: { bytes: 0, seconds: 60 } }), '')
  t.match(codes({ lag: { bytes: 0, seconds: 61 } }), /is 1 min 1 s old/)
  t.match(codes({ lag: { bytes: 0, seconds: null } }), /never got a heartbeat/)
  t.equal(codes({ lag: { bytes: 0, seconds: 61 } }, [failing]), '', 'another error says it')
  t.match(codes({ lag: { bytes: 0, seconds: 61 } }, [{ ...failing, code: 'LAG' }]), /old/, 'the lag does not')
  const copying: Finding = { ...failing, code: 'COPYING', severity: 'warning' }
  t.equal(codes({ lag: { bytes: 0, seconds: null } }, [copying]), '', 'it comes after the copy')
  t.equal(codes({ lag: { bytes: 0, seconds: 99 }, subscription: { enabled: false } }), '')
  t.match(codes({ lag: { bytes: 0, seconds: 31 } }, [], 'error'), /old/, 'back at half')
  t.equal(codes({ lag: { bytes: 0, seconds: 29 } }, [], 'error'), '')
})

t.test('a subscription that fails goes on failing between its attempts', async (t) => {
  const alert: Alert = { ...failing, id: 'x', table: null, since: '', until: null }
  const notRunning = { ...failing, code: 'SUBSCRIPTION_NOT_RUNNING' }
  const codes = (change: object, found: Finding[], open: Alert[]): string[] =>
    keepFailing(health(change), found, open).map(({ code }) => code)
  t.strictSame(codes({ workers: null }, [notRunning], []), ['SUBSCRIPTION_NOT_RUNNING'])
  t.strictSame(codes({ workers: null }, [notRunning], [alert]), ['SUBSCRIPTION_FAILING'])
  t.strictSame(codes({ lag: { bytes: 1, seconds: 3 } }, [], [alert]), ['SUBSCRIPTION_FAILING'])
  t.strictSame(codes({}, [], [alert]), [], 'it has caught up')
  t.strictSame(codes({ workers: null }, [failing], [alert]), ['SUBSCRIPTION_FAILING'], 'once')
})

const compared = (name: string, verdict: 'match' | 'drift' | 'undetermined') => ({
  table: name,
  verdict,
  primaryRows: 1,
  cloudRows: 1,
  differences: [],
  moreDifferences: false,
  reason: verdict === 'undetermined' ? 'the cloud is behind' : null,
  lsn: '0/1',
})

t.test('many tables that could not be compared are one finding', async (t) => {
  const codes = (count: number): string[] => {
    const open = Array.from({ length: count }, (_, place) => compared(`t${place}`, 'undetermined'))
    return judgeContent({ tables: [...open, compared('d', 'drift')], findings: [] }, []).map(
      ({ code, table: name = 'all' }) => `${code} ${name}`,
    )
  }
  t.strictSame(codes(2), ['UNDETERMINED t0', 'UNDETERMINED t1', 'DRIFT d'])
  t.strictSame(codes(9), ['DRIFT d', 'UNDETERMINED all'])
})

t.test('drift lasts until the table is proven to be the same', async (t) => {
  const drift: Alert = { ...failing, code: 'DRIFT', table: 'sources', id: 'x', since: '', until: null }
  const codes = (verdict: 'match' | 'undetermined', name: string): string[] =>
    judgeContent({ tables: [compared(name, verdict)], findings: [] }, [drift]).map(({ code }) => code)
  t.strictSame(codes('undetermined', 'sources'), ['DRIFT'])
  t.strictSame(codes('undetermined', 'segments'), ['UNDETERMINED'])
  t.strictSame(codes('match', 'sources'), [])
})

t.test('codes of alerts, and the rate of the log', async (t) => {
  t.strictSame(
    [
      ...raisedCodes([
        { code: 'A', severity: 'error' },
        { code: 'A', severity: 'warning' },
      ]),
    ],
    [['A', 'error']],
  )
  t.equal(walRate(null, { text: '0/10', atMs: 0 }), null)
  t.equal(walRate({ text: '0/0', atMs: 0 }, { text: '0/100', atMs: 2000 }), 128)
  t.equal(
    walRate({ text: '0/FF', atMs: 0 }, { text: '0/1', atMs: 2000 }),
    null,
    'a primary that was restored',
  )
})

t.test('a forecast reaches as far as what it rests on: ten minutes tell of a day', async (t) => {
  const end = (seconds: number) => ({ seconds, what: 'it is cut off' })
  t.equal(wellFounded(null, 600_000), null)
  t.match(wellFounded(end(86_400), 600_000), end(86_400))
  t.equal(wellFounded(end(86_401), 600_000), null)
  t.match(wellFounded(end(1400), 10_000), end(1400))
  t.equal(wellFounded(end(1500), 10_000), null)
})
