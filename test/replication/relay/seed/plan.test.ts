import t from 'tap'
import { rangesBetween, rowsPerRange } from '../../../../replication/relay/seed/plan-ranges.ts'
import { measureSeed } from '../../../../replication/relay/seed/seed-progress.ts'
import { judgeSeedSlot } from '../../../../replication/relay/seed/slot-watch.ts'
import {
  decideSeed,
  tablesToBeEmpty,
  type SeedSituation,
} from '../../../../replication/relay/setup/seed-work.ts'
import { judgeRelay } from '../../../../replication/relay/relay-verdicts.ts'
import type { RelayState } from '../../../../replication/relay/relay-state.ts'
import { primaryFacts } from '../relay-fixture.ts'

t.test('ranges', async (t) => {
  t.strictSame(rangesBetween('a', []), [{ table: 'a', number: 0, from: null, to: null }])
  t.strictSame(rangesBetween('a', [['5'], ['9']]), [
    { table: 'a', number: 0, from: null, to: ['5'] },
    { table: 'a', number: 1, from: ['5'], to: ['9'] },
    { table: 'a', number: 2, from: ['9'], to: null },
  ])
  t.equal(rowsPerRange(0, {}), 20_000, 'an empty table')
  t.equal(rowsPerRange(100, {}), 20_000)
  t.equal(rowsPerRange(2 ** 14, {}), 1024, 'wide rows: as many as fit')
  t.equal(rowsPerRange(2 ** 30, {}), 1)
})

t.test('progress', async (t) => {
  const range = (table: string, rows: string | null) => ({
    table,
    rows,
    snapshotLsn: rows === null ? null : '0/1',
  })
  const ranges = [range('a', '100'), range('a', '100'), range('a', null), range('b', null), range('c', '0')]
  t.match(measureSeed(ranges, { rows: 100, bytes: 5, seconds: 2 }), {
    tables: 3,
    tablesCopied: 1,
    ranges: 5,
    rangesCopied: 3,
    rows: 200,
    rowsExpected: 300,
    rowsPerSecond: 50,
    secondsLeft: 2,
  })
  t.match(measureSeed(ranges, { rows: 0, bytes: 0, seconds: 0 }), { rowsPerSecond: 0, secondsLeft: null })
})

const sound: RelayState = {
  slot: 'homeport_a',
  systemIdentifier: '7001',
  timeline: 1,
  commitLsn: '0/1000',
  endLsn: '0/1000',
  sequence: '1',
  epoch: '1',
  state: 'following',
  stopCode: null,
  stopMessage: null,
  stopHint: null,
  holderName: 'home, process 7',
  heldSince: null,
  holderUntil: new Date(0),
  isHeld: true,
  updatedAt: new Date(0),
  ranges: { all: 2, copied: 2, rows: 5, tables: ['a', 'b'] },
  conflicts: 0,
  quarantined: [],
}

t.test('what is to be copied', async (t) => {
  const slot = { active: false, activePid: null, walStatus: 'reserved' }
  const there: SeedSituation = {
    slotName: 'homeport_a',
    state: sound,
    slot,
    primary: primaryFacts(),
    tables: ['a', 'b'],
  }
  const decide = (change: Partial<SeedSituation>): string => {
    const { work, findings } = decideSeed({ ...there, ...change })
    return [...findings.map((one) => one.code), ...(work === null ? [] : [JSON.stringify(work)])].join(' ')
  }
  const seeding = { ...sound, state: 'seeding' } as const
  const lost = { ...slot, walStatus: 'lost' }
  const start = (dropSlot: boolean, empty: string[]): string =>
    JSON.stringify({ kind: 'start', dropSlot, empty })
  t.equal(decide({}), '')
  t.equal(decide({ state: { ...sound, state: 'stopped' } }), '')
  t.equal(decide({ state: null, slot: null }), start(false, []))
  t.equal(decide({ state: null }), start(true, []), 'left over')
  t.equal(decide({ state: null, slot: { ...slot, active: true, activePid: 3 } }), 'SLOT_HELD')
  t.equal(decide({ state: seeding }), JSON.stringify({ kind: 'resume' }))
  t.equal(decide({ state: seeding, slot: null }), start(false, ['a', 'b']))
  t.equal(decide({ state: seeding, slot: lost }), start(true, ['a', 'b']))
  t.equal(
    decide({ state: seeding, tables: ['a'] }),
    start(true, ['a']),
    'a range of a table that is no longer published',
  )
  t.equal(decide({ slot: null }), 'SLOT_LOST')
  t.equal(decide({ slot: lost }), 'SLOT_LOST')
  t.equal(decide({ primary: primaryFacts({ systemIdentifier: '8' }) }), 'PRIMARY_CHANGED')
  t.equal(decide({ primary: primaryFacts({ timeline: 2 }) }), 'PRIMARY_CHANGED')
  t.equal(decide({ primary: primaryFacts({ walLsn: '0/500' }) }), 'PRIMARY_REWOUND')
  t.match(decide({ tables: ['a', 'b', 'c'] }), /"kind":"tables","tables":\["c"\]/)
  t.strictSame(tablesToBeEmpty({ ...there, state: null }), ['a', 'b'])
  t.strictSame(tablesToBeEmpty({ ...there, state: seeding }), [])
  t.strictSame(tablesToBeEmpty({ ...there, tables: ['a', 'b', 'c'] }), ['c'])
})

t.test('a slot during the copy', async (t) => {
  t.equal(judgeSeedSlot('s', { walStatus: 'unreserved' }), null)
  t.match(judgeSeedSlot('s', { walStatus: 'lost' }), { code: 'SLOT_LOST', message: /max_slot_wal_keep_size/ })
  t.match(judgeSeedSlot('s', undefined), { code: 'SLOT_LOST', message: /is gone/ })
})

t.test('what the state of a relay means', async (t) => {
  const judge = (change: Partial<RelayState>, slot: { active: boolean } | null = null) =>
    judgeRelay({ ...sound, ...change }, slot).map((one) => `${one.severity} ${one.code}`)
  t.strictSame(judge({}), [])
  t.strictSame(judge({ isHeld: false }), ['error RELAY_NOT_RUNNING'])
  t.strictSame(judge({ state: 'seeding', isHeld: false }), ['warning SEEDING'])
  const stop = { state: 'stopped', stopCode: 'POISON_ROW', stopMessage: 'm', stopHint: 'h' } as const
  t.match(judgeRelay({ ...sound, ...stop }, null), [
    { code: 'POISON_ROW', message: 'm', fix: 'h', severity: 'error' },
  ])
  t.strictSame(judge({ quarantined: [{ table: 'a', rows: 2 }] }), ['error QUARANTINED'])
  t.match(judgeRelay({ ...sound, isHeld: false }, { active: true })[0]?.message, /something reads its slot/)
})
