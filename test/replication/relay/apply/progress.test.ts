import t from 'tap'
import {
  isAsAssumed,
  judgeChain,
  readLockedProgress,
  type LockedProgress,
} from '../../../../replication/relay/apply/progress.ts'
import { progressAt } from '../relay-fixture.ts'

const lease = { slot: 'homeport_a', epoch: '3', holder: 'a' }
const batch = {
  slot: 'homeport_a',
  systemIdentifier: '7001',
  timeline: 1,
  after: '0/2000',
  end: '0/3000',
}

function locked(endLsn: string, more: Partial<LockedProgress['progress']> = {}): LockedProgress {
  const progress = progressAt(endLsn, { epoch: '3', ...more })
  return { progress, holder: 'a', holderName: 'home 1', settled: new Map(), copied: new Map() }
}

t.test('where the cloud is decides what becomes of a batch', async (t) => {
  const at = (endLsn: string): unknown => judgeChain(locked(endLsn), lease, batch)
  t.same(at('0/2000'), { kind: 'apply', skipThrough: 0x2000n }, 'it fits')
  t.same(at('0/2800'), { kind: 'apply', skipThrough: 0x2800n }, 'its beginning is there')
  t.same(at('0/3000'), { kind: 'duplicate' }, 'it is there')
  t.same(at('1/0'), { kind: 'duplicate' }, 'it was there long ago')
  t.throws(() => at('0/1FFF'), { code: 'RELAY_GAP', message: /up to 0\/1FFF.* begins at 0\/2000: 1 bytes/ })
  t.same(
    judgeChain(locked('0/2000'), lease, { ...batch, end: '0/2000' }),
    { kind: 'duplicate' },
    'an idle position that leads nowhere',
  )
})

t.test('a batch is refused', async (t) => {
  const refused = (code: string, found: LockedProgress | null, change: Partial<typeof batch> = {}): void => {
    t.throws(() => judgeChain(found, lease, { ...batch, ...change }), { code })
  }
  refused('NOT_SET_UP', null)
  refused('RELAY_FENCED', locked('0/2000', { epoch: '4' }))
  refused('RELAY_FENCED', { ...locked('0/2000'), holder: 'b' })
  refused('RELAY_FENCED', locked('0/3000', { epoch: '4' }))
  refused('PRIMARY_CHANGED', locked('0/2000'), { systemIdentifier: '7002' })
  refused('PRIMARY_CHANGED', locked('0/2000'), { timeline: 2 })
  refused('SEED_UNFINISHED', locked('0/2000', { state: 'seeding' }))
  refused('RELAY_STOPPED', locked('0/2000', { state: 'stopped' }))
  refused('BATCH_DAMAGED', locked('0/2000'), { slot: 'another' })
  refused('BATCH_DAMAGED', locked('0/2000'), { end: '0/1000' })
})

t.test('an attempt holds only when the cloud is as it assumed', async (t) => {
  const settled = new Map([['sources', 0x2500n]])
  const verdict = { skipThrough: 0x2000n }
  const found = (tables: ReadonlyMap<string, bigint>): LockedProgress => ({
    ...locked('0/2000'),
    settled: tables,
  })
  const assumed = { skipThrough: 0x2000n, settled }
  t.equal(isAsAssumed(assumed, verdict, found(settled)), true)
  t.equal(isAsAssumed(assumed, verdict, found(new Map())), false)
  t.equal(isAsAssumed(assumed, verdict, found(new Map([['sources', 1n]]))), false)
  t.equal(isAsAssumed({ ...assumed, settled: new Map() }, verdict, found(settled)), false)
  t.equal(isAsAssumed({ ...assumed, skipThrough: 1n }, verdict, found(settled)), false)
})

t.test('an answer of the server becomes a progress', async (t) => {
  t.equal(readLockedProgress(undefined), null)
  const row = {
    slot: 's',
    systemIdentifier: '7001',
    timeline: '1',
    commitLsn: '0/1',
    endLsn: '0/2',
    sequence: '5',
    epoch: '3',
    state: 'following',
    holder: 'a',
    holderName: null,
    settled: '{"sources": "0/2500"}',
  }
  const read = readLockedProgress(row)
  t.match(read, { progress: { timeline: 1, endLsn: '0/2', sequence: '5' }, holder: 'a', holderName: null })
  t.same([...(read?.settled ?? [])], [['sources', 0x2500n]])
  t.equal(readLockedProgress({ ...row, settled: null })?.settled.size, 0)
})
