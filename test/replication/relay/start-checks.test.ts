import t from 'tap'
import type { CloudTable } from '../../../replication/relay/cloud-link.ts'
import type { RelaySlot } from '../../../replication/relay/primary-facts.ts'
import {
  judgeCloud,
  judgeIdentity,
  judgePair,
  judgePosition,
  judgePrimary,
  judgeSchema,
  judgeSlot,
  slotHeld,
  type SpoolChain,
} from '../../../replication/relay/start-checks.ts'
import { cloudDescription, primaryFacts, progressAt } from './relay-fixture.ts'

const nothing = null
const slotAt = (confirmedLsn: string | null, more: Partial<RelaySlot> = {}): RelaySlot => ({
  ...(primaryFacts().slot as RelaySlot),
  confirmedLsn,
  ...more,
})

t.test('a pair that fits has nothing against it', async (t) => {
  t.equal(judgePrimary(primaryFacts()), null)
  t.equal(judgePair(primaryFacts(), cloudDescription(), nothing), null)
  t.equal(judgeCloud(cloudDescription()), null)
  t.equal(judgeSlot(slotAt('0/1000'), 'homeport_a', 'home'), null)
  t.equal(judgeSchema(primaryFacts(), cloudDescription()), null)
})

t.test('wrong servers are a matter of configuration', async (t) => {
  t.match(judgePrimary(primaryFacts({ inRecovery: true })), { code: 'SERVER_IN_RECOVERY', exitCode: 2 })
  t.match(judgePair(primaryFacts(), cloudDescription({ systemIdentifier: '7001' }), nothing), {
    code: 'SAME_SERVER',
    exitCode: 2,
    hint: /REPLICATION_DATABASE_URL is the primary/,
  })
  t.match(judgePair(primaryFacts(), cloudDescription({ progress: null }), nothing), {
    code: 'NOT_SET_UP',
    exitCode: 2,
    hint: /setup-replication --mode relay/,
  })
  t.match(judgePair(primaryFacts({ publishes: false }), cloudDescription({ progress: null }), nothing), {
    code: 'NOT_SET_UP',
    message: /publishes nothing/,
    hint: /swapped/,
  })
  t.equal(
    judgePair(primaryFacts({ systemIdentifier: null }), cloudDescription({ systemIdentifier: '' }), nothing),
    null,
    'who may not read an identifier is not compared by it',
  )
})

t.test('a primary that is another one, or has gone back', async (t) => {
  const cases: [Parameters<typeof judgeIdentity>[0], string | null, RegExp?][] = [
    [primaryFacts(), null],
    [primaryFacts({ walLsn: '0/1000' }), null],
    [primaryFacts({ systemIdentifier: '7002' }), 'PRIMARY_CHANGED', /7002.*7001/],
    [primaryFacts({ timeline: 2 }), 'PRIMARY_CHANGED', /timeline 2.*promoted or restored/],
    [primaryFacts({ walLsn: '0/FFF' }), 'PRIMARY_REWOUND', /0\/1000.*0\/FFF/],
    [primaryFacts({ systemIdentifier: null, timeline: null }), null],
  ]
  for (const [primary, code, message] of cases) {
    const found = judgeIdentity(primary, progressAt())
    t.equal(found?.code ?? null, code)
    if (message !== undefined) t.match(found, { message, hint: /ops reseed/, exitCode: 1 })
  }
})

t.test('a cloud whose role or state does not do', async (t) => {
  t.match(judgeCloud(cloudDescription({ synchronousCommit: 'off' })), {
    code: 'SYNCHRONOUS_COMMIT_OFF',
    exitCode: 2,
    hint: /alter role .* reset synchronous_commit/,
  })
  for (const value of ['local', 'remote_write', 'remote_apply']) {
    t.equal(judgeCloud(cloudDescription({ synchronousCommit: value })), null, value)
  }
  t.match(judgeCloud(cloudDescription({ isReadOnly: true })), { code: 'CLOUD_READ_ONLY' })
  t.match(judgeCloud(cloudDescription({ progress: progressAt('0/1000', { state: 'seeding' }) })), {
    code: 'SEED_UNFINISHED',
    hint: /setup-replication --mode relay/,
  })
})

t.test('a slot that is gone, lost, foreign or held', async (t) => {
  t.match(judgeSlot(null, 'homeport_a', 'home'), { code: 'SLOT_MISSING', hint: /ops reseed/ })
  t.match(judgeSlot(slotAt('0/1', { walStatus: 'lost' }), 'homeport_a', 'home'), { code: 'SLOT_LOST' })
  t.match(judgeSlot(slotAt(null), 'homeport_a', 'home'), { code: 'SLOT_LOST' })
  t.match(judgeSlot(slotAt('0/1', { plugin: 'test_decoding' }), 'homeport_a', 'home'), {
    code: 'SLOT_FOREIGN',
  })
  t.match(judgeSlot(slotAt('0/1', { plugin: null, database: null }), 'homeport_a', 'home'), {
    code: 'SLOT_FOREIGN',
    message: /physical replication/,
  })
  t.match(judgeSlot(slotAt('0/1'), 'homeport_a', 'elsewhere'), { code: 'SLOT_FOREIGN' })
  const held = { holder: 'psql', holderRole: 'anna', holderAddress: '10.0.0.7', holderPid: 77 }
  t.match(slotHeld(slotAt('0/1', held)), {
    code: 'SLOT_HELD',
    message: 'slot homeport_a is being read by "psql" as anna from 10.0.0.7 (process 77 of the primary)',
    hint: /pg_terminate_backend\(77\)/,
  })
  t.match(slotHeld(slotAt('0/1')), { message: /by somebody else$/ })
})

t.test('where reading begins', async (t) => {
  const spool: SpoolChain = { firstAfter: '0/1000', endLsn: '0/1800' }
  const begins = (
    endLsn: string,
    confirmedLsn: string,
    chain: SpoolChain | null = null,
    remembered: string | null = null,
    sequence = '4',
  ) => {
    const found = judgePosition({
      progress: { endLsn, sequence },
      slot: slotAt(confirmedLsn),
      spool: chain,
      memory: remembered === null ? null : { cloudLsn: remembered, commitLsn: '0/1', sequence: '5' },
    })
    return found.error?.code ?? (found.error === null ? [found.startLsn, found.spoolIsDone] : null)
  }
  t.same(begins('0/1000', '0/1000'), ['0/1000', false])
  t.same(begins('0/1000', '0/F00'), ['0/1000', false], 'committed, but not acknowledged yet')
  t.same(begins('0/1000', '0/1001'), 'CLOUD_REWOUND', 'one byte is enough')
  t.same(begins('0/1000', '0/1001', null, '0/1000'), 'SLOT_RECREATED', 'the cloud still has what we remember')
  t.same(begins('0/1000', '0/1001', null, '0/1001'), 'CLOUD_REWOUND')
  t.same(begins('0/1000', '0/F00', null, '0/1001'), 'CLOUD_REWOUND', 'though the slot would not tell')
  t.same(
    begins('0/1000', '0/F00', null, '0/9000', '5'),
    ['0/1000', false],
    'copied again from a restored primary',
  )
  t.same(begins('0/1000', '0/1800', spool), ['0/1800', false], 'the spool goes on from the cloud')
  t.same(begins('0/1400', '0/1800', spool), ['0/1800', false], 'some of it was delivered')
  t.same(begins('0/1800', '0/1800', spool), ['0/1800', true], 'all of it was')
  t.same(begins('0/1900', '0/1800', spool), ['0/1900', true], 'and more')
  t.same(begins('0/FFF', '0/1800', spool), 'CLOUD_REWOUND', 'a hole before the spool')
  t.same(begins('0/1000', '0/1801', spool, '0/1000'), 'SLOT_RECREATED', 'a hole after it')
  t.same(begins('0/FFFFFFFF', '1/0'), 'CLOUD_REWOUND', 'positions are numbers, not text')
  t.same(begins('1/0', '0/FFFFFFFF'), ['1/0', false])
})

t.test('a record that the cloud once had and has no more', async (t) => {
  t.match(
    judgePair(primaryFacts(), cloudDescription({ progress: null }), {
      cloudLsn: '0/900',
      commitLsn: '0/1',
      sequence: '5',
    }),
    {
      code: 'CLOUD_REWOUND',
      message: /0\/900.*no record/,
    },
  )
})

t.test('each way in which two schemas differ is said', async (t) => {
  const lexicon = cloudDescription().tables[0] as CloudTable
  const [term, documents] = lexicon.columns as [CloudTable['columns'][0], CloudTable['columns'][0]]
  const judged = (columns: CloudTable['columns'] | null) =>
    judgeSchema(
      primaryFacts(),
      cloudDescription({ tables: columns === null ? [] : [{ name: 'lexicon', columns }] }),
    )
  t.match(judged(null), { code: 'SCHEMA_MISMATCH', message: /table lexicon is missing/, hint: /ops migrate/ })
  t.match(judged([term]), { message: /lexicon\.documents \(integer\) is missing in the cloud/ })
  t.match(judged([term, { ...documents, type: 'text' }]), {
    message: /lexicon\.documents is integer on the primary, text in the cloud/,
  })
  t.match(judged([term, { ...documents, generated: true }]), { message: /generated/ })
  const extra = { ...term, name: 'extra' }
  t.match(judged([term, documents, extra]), { message: /lexicon\.extra in the cloud needs a value/ })
  for (const harmless of [{ notNull: false }, { hasDefault: true }, { generated: true }]) {
    t.equal(judged([term, documents, { ...extra, ...harmless }]), null, 'expand the cloud first')
  }
  const both = judged([{ ...term, type: 'bigint' }])
  t.match(both?.message, /term is integer[\s\S]*documents \(integer\) is missing/)
})
