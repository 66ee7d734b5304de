import t from 'tap'
import type { Finding } from '../../../replication/finding.ts'
import { judgeHealth, judgeKeptLog } from '../../../replication/health-verdicts.ts'
import type { ReplicationHealth } from '../../../replication/health.ts'
import type { Seen } from '../../../replication/monitor/alerts.ts'
import { judgeContent } from '../../../replication/monitor/content-watch.ts'
import { judgeHome, judgeLook } from '../../../replication/monitor/judge-look.ts'
import { pastLog } from '../../../replication/monitor/past-log.ts'
import type { Alert, MonitorSample } from '../../../replication/monitor/sample.ts'
import { hasSlept, noLogHistory, walRate, wellFounded } from '../../../replication/monitor/home-look.ts'
import {
  easeLimits,
  judgeDisk,
  judgeForecast,
  judgeHeartbeat,
  judgeRecall,
  judgeUnseenDisk,
  judgeVersions,
  keepFailing,
  keepForerunners,
  raisedCodes,
  remarksOn,
  type Raised,
} from '../../../replication/monitor/verdicts.ts'
import type { DiskSpace } from '../../../replication/relay/primary-disk.ts'
import type { ServerFacts } from '../../../replication/server-facts.ts'
import type { SlotFacts } from '../../../replication/slot.ts'
import { quietSample } from './sample-data.ts'
import { soundSlot } from '../sound-facts.ts'

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
  const [filling] = judgeForecast(full, 's', new Map())
  t.match(filling, { message: /^the disk of the slot s is full in 1 min/, fix: /free some of that disk/ })
  t.notMatch(filling?.fix, /max_slot_wal_keep_size/, 'to keep more would fill it sooner')
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

t.test('who is over a limit has to come back further, and reads the limit that was set', async (t) => {
  const limits = { maxLagSeconds: 10, maxLagBytes: 1000 }
  const lag = (seconds: number, bytes: number, before: Before): string[] =>
    judgeHealth(health({ lag: { seconds, bytes } }), easeLimits(limits, raised('LAG', before)))
      .filter(({ code }) => code === 'LAG')
      .map(({ message }) => message)
  t.strictSame(lag(10, 1000, null), [])
  t.strictSame(lag(8, 800, 'error'), [])
  t.strictSame(lag(8.1, 0, 'error'), ['the cloud is 8.1 s behind, the limit is 10 s'])
  t.strictSame(lag(0, 801, 'error'), ['the cloud is 801 B behind, the limit is 1000 B'])
  t.match(lag(8 * 3600, 5e9, null), [/is 8 h 0 min behind, the limit is 10 s/, /is 4.7 GB behind/])
  const half = (retained: number, before: Before): Before =>
    severity(
      judgeKeptLog(slotWith({ retainedBytes: String(retained), safeWalBytes: String(100 - retained) }), '', {
        ...easeLimits({}, raised('SLOT_HALF_FULL', before)),
      }),
    )
  const cases: [number, Before, Before][] = [
    [50, null, null],
    [51, null, 'warning'],
    [45, null, null],
    [45, 'warning', 'warning'],
    [40, 'warning', null],
  ]
  for (const [kept, before, wanted] of cases) t.equal(half(kept, before), wanted, `${kept} after ${before}`)
})

t.test('log that nothing bounds, on a disk that nobody sees', async (t) => {
  const gigabytes = (count: number): string => String(count * 1024 ** 3)
  const judge = (change: Partial<SlotFacts>, disk: DiskSpace | null = null, before: Before = null) =>
    judgeUnseenDisk(slotWith(change), disk, raised('SLOT_WITHOUT_LIMIT', before))
  t.strictSame(judge({ retainedBytes: gigabytes(3.5) }), [])
  t.match(judge({ retainedBytes: gigabytes(4) }), [
    { severity: 'warning', message: /keeps 4.0 GB of log, and nothing bounds it/, fix: /RELAY_PRIMARY_DATA/ },
  ])
  t.equal(judge({ retainedBytes: gigabytes(3.5) }, null, 'warning').length, 1)
  t.strictSame(judge({ retainedBytes: gigabytes(9), safeWalBytes: '1' }), [], 'a limit is set')
  t.strictSame(
    judge({ retainedBytes: gigabytes(9) }, { freeBytes: 1, totalBytes: 2 }),
    [],
    'the disk is seen',
  )
})

t.test('what has come true, or worse, is not over', async (t) => {
  const open = (...codes: string[]): Alert[] =>
    codes.map((code) => ({ ...failing, code, id: code, table: null, since: '', until: null }))
  const codes = (found: string[], alerts: string[]): string[] =>
    keepForerunners(
      found.map((code) => ({ ...failing, code })),
      open(...alerts),
    ).map(({ code }) => code)
  t.strictSame(codes([], ['SLOT_HALF_FULL', 'SLOT_ENDS_SOON', 'DISK']), [])
  t.strictSame(codes(['SLOT_ENDS_SOON'], ['SLOT_HALF_FULL']), ['SLOT_ENDS_SOON'], 'each for itself')
  t.strictSame(codes(['SLOT_AT_RISK'], ['SLOT_HALF_FULL', 'DISK']), ['SLOT_AT_RISK', 'SLOT_HALF_FULL'])
  t.strictSame(codes(['SLOT_LOST'], ['SLOT_ENDS_SOON', 'SLOT_AT_RISK']), [
    'SLOT_LOST',
    'SLOT_ENDS_SOON',
    'SLOT_AT_RISK',
  ])
  t.strictSame(codes(['SLOT_LOST'], ['SLOT_LOST']), ['SLOT_LOST'])
})

t.test('the primary is judged by itself while the cloud is away', async (t) => {
  const home = {
    slot: slotWith({ walStatus: 'unreserved' }),
    disk: { freeBytes: 5, totalBytes: 100 },
    forecast: { seconds: 60, what: 'it is cut off' },
    walBytesPerSecond: 1,
    proofs: [],
    log: noLogHistory,
  }
  const codes = (seen: Seen): string[] => seen.findings.map(({ code }) => code)
  const wanted = ['SLOT_AT_RISK', 'SLOT_ENDS_SOON', 'DISK']
  t.strictSame(codes(judgeHome(home, health({}), { alerts: [] })), wanted)
  t.strictSame(codes(judgeHome(home, null, { alerts: [] })), wanted, 'also when it never answered')
  t.strictSame(codes(judgeHome({ ...home, slot: null }, health({}), { alerts: [] })).slice(0, 1), [
    'SLOT_LOST',
  ])
  const both = {
    ...home,
    cloudIdentity: null,
    health: health({ slot: home.slot, subscription: { enabled: false } }),
  }
  const looks = judgeLook(both, { beatSeconds: 5, alerts: [] })
  t.strictSame(
    looks.map((seen) => [seen.source, ...codes(seen)]),
    [
      ['look', 'SUBSCRIPTION_DISABLED'],
      ['home', ...wanted],
    ],
    'each thing once',
  )
})

t.test('a machine that slept knows nothing of the time between', async (t) => {
  const before = { atMs: 1000, wallMs: 1_000_000 }
  t.notOk(hasSlept(null, before))
  t.notOk(hasSlept(before, { atMs: 6000, wallMs: 1_005_900 }))
  t.ok(hasSlept(before, { atMs: 6000, wallMs: 1_005_000 + 8 * 3_600_000 }), 'eight hours')
  t.ok(hasSlept(before, { atMs: 6000, wallMs: 1_005_000 - 3_600_000 }), 'a clock that was set back')
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
    subscription: { enabled: true, tables: [] },
    relay: null,
    workers: { applyPid: 1 },
    slot: null,
    index: null,
    lag: { bytes: 0, seconds: 0 },
    ...change,
  }) as unknown as ReplicationHealth

const slotWith = (change: Partial<SlotFacts>): SlotFacts => ({ ...soundSlot, ...change })

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

t.test('what a monitor kept of the log, by the clock of this process', async (t) => {
  const now = { wallMs: Date.parse('2026-01-02T03:04:00Z'), atMs: 5_000 }
  const at = (ms: number) => new Date(now.wallMs + ms)
  const other = { ...quietSample(at(-1_000)), slot: { ...quietSample(at(0)).slot, name: 'other' } }
  const samples = [
    quietSample(at(-2_000)),
    quietSample(at(-60_000)),
    quietSample(at(-700_000)),
    quietSample(at(9_000)),
    quietSample(at(-3_000), { slot: null }),
    other as MonitorSample,
  ]
  t.match(pastLog(samples, 'homeport', now), {
    lsn: null,
    samples: [
      { atMs: -55_000, retainedBytes: 4_000_000, disk: { freeBytes: 60e9 } },
      { atMs: 3_000, retainedBytes: 4_000_000 },
    ],
  })
  t.equal(pastLog(samples, 'homeport', now).samples.length, 2)
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
