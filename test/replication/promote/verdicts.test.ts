import t from 'tap'
import {
  judgeLoss,
  lossOf,
  unknownLoss,
  type AcceptedLoss,
  type Loss,
} from '../../../replication/promote/loss.ts'
import type { CloudFacts, HomeFacts } from '../../../replication/promote/facts.ts'
import { leftToDo } from '../../../replication/promote/left-to-do.ts'
import { planPromotion } from '../../../replication/promote/plan.ts'
import { foreignKeys } from '../../../replication/promote/schema-parts.ts'
import { followingMode, judgePromotion } from '../../../replication/promote/verdicts.ts'
import type { RelayState } from '../../../replication/relay/relay-state.ts'
import type { SubscriptionState } from '../../../replication/subscription.ts'

const relay: RelayState = {
  slot: 'homeport_0123456789',
  systemIdentifier: '7',
  timeline: 1,
  commitLsn: '0/10',
  endLsn: '0/20',
  sequence: '3',
  epoch: '4',
  state: 'following',
  stopCode: null,
  stopMessage: null,
  stopHint: null,
  holderName: 'box, process 7',
  heldSince: null,
  holderUntil: new Date(0),
  isHeld: false,
  updatedAt: new Date(0),
  ranges: { all: 0, copied: 0, rows: 0, tables: [] },
  conflicts: 0,
  quarantined: [],
}

const subscription: SubscriptionState = {
  oid: '1',
  enabled: true,
  binary: true,
  streaming: 'true',
  disableOnError: false,
  slot: relay.slot,
  publications: ['homeport'],
  connection: null,
  tables: [{ table: 'sources', state: 'r', copiedRows: '0' }],
}

const sound: CloudFacts = {
  server: { inRecovery: false, walLevel: 'logical', database: 'homeport' },
  missingMigrations: [],
  slot: relay.slot,
  relay,
  foreignSlots: [],
  subscription: null,
  workers: null,
  heartbeat: null,
  writers: [],
  replicaHolders: [],
  sequences: [],
  foreignKeys,
  triggers: [],
  identities: new Map([
    ['sources', ['id', 'visibility']],
    ['segments', ['id', 'visibility']],
    ['segment_terms', ['segment_id', 'visibility']],
    ['embeddings', ['model_id', 'segment_id', 'visibility']],
  ]),
  publication: { allTables: false, allOperations: true, tables: [] },
}

const home: HomeFacts = {
  isFenced: false,
  fencedFor: null,
  slots: [{ name: relay.slot }] as unknown as HomeFacts['slots'],
  systemIdentifier: '7',
  follows: false,
  heartbeat: null,
  privateSources: 2,
  privateSegments: 9,
  ingestedFiles: 4,
  changeSeq: '12',
}

t.test('what is in the way of a promotion', (t) => {
  const beat = (count: string) => ({ beat: count, beatAt: new Date(0), lsn: '0/1', ageSeconds: 1 })
  const unnamed: RelayState = { ...relay, state: 'promoted', systemIdentifier: 'unknown' }
  const workers = { applyPid: 1, receivedLsn: null, silentSeconds: 2, applyErrors: 0, syncErrors: 0 }
  const cases: [string, Partial<CloudFacts>, Partial<HomeFacts> | null, string[]][] = [
    ['nothing', {}, {}, []],
    ['home is gone', {}, null, []],
    ['a standby', { server: { ...sound.server, inRecovery: true } }, {}, ['SERVER_IN_RECOVERY']],
    ['an older schema', { missingMigrations: ['007-promotion.sql'] }, {}, ['NOT_MIGRATED']],
    ['an older schema, and nobody to migrate with', { missingMigrations: ['007-promotion.sql'] }, null, []],
    ['a copy of another cloud', { foreignSlots: ['homeport_x'] }, {}, ['RELAY_FOREIGN']],
    ['it follows nobody', { relay: null }, {}, ['NOT_SET_UP']],
    ['and is itself followed', { relay: null }, { follows: true }, ['SIDES_SWAPPED']],
    ['fenced for it before', {}, { isFenced: true, fencedFor: relay.slot }, []],
    ['home gives way to another', {}, { isFenced: true, fencedFor: 'homeport_x' }, ['FENCED_FOR_OTHER']],
    ['home feeds it from elsewhere', { relay: { ...relay, isHeld: true } }, null, ['HOME_FEEDS']],
    ['and may, where it answers', { relay: { ...relay, isHeld: true } }, {}, []],
    ['natively', { relay: null, subscription, workers }, null, ['HOME_FEEDS']],
    [
      'but not since long',
      { relay: null, subscription, workers: { ...workers, silentSeconds: 90 } },
      null,
      [],
    ],
    ['sides swapped', {}, { follows: true }, ['SIDES_SWAPPED']],
    ['another home', {}, { systemIdentifier: '8' }, ['PRIMARY_CHANGED']],
    ['a copy that goes on', { relay: { ...relay, state: 'seeding' } }, {}, ['SEED_UNFINISHED']],
    ['which never will', { relay: { ...relay, state: 'seeding' } }, null, []],
    ['a promoted cloud and its old home', { relay: { ...relay, state: 'promoted' } }, {}, []],
    [
      'a promoted cloud and another home',
      { relay: { ...relay, state: 'promoted' } },
      { systemIdentifier: '8' },
      ['PRIMARY_CHANGED'],
    ],
    ['a native home', { relay: null, subscription }, {}, []],
    ['without the slot', { relay: null, subscription }, { slots: [] }, ['PRIMARY_CHANGED']],
    [
      'another database of its server',
      { heartbeat: beat('4') },
      { slots: [], heartbeat: beat('3') },
      ['PRIMARY_CHANGED'],
    ],
    ['whose slot was dropped', { heartbeat: beat('4') }, { slots: [], heartbeat: beat('4') }, []],
    ['fenced before, its name unknown', { relay: unnamed }, { slots: [], isFenced: true }, []],
    ['its name unknown', { relay: unnamed }, { slots: [], heartbeat: beat('9') }, ['PRIMARY_CHANGED']],
  ]
  for (const [name, cloud, atHome, codes] of cases) {
    const findings = judgePromotion({ ...sound, ...cloud }, atHome === null ? null : { ...home, ...atHome })
    t.same(
      findings.map((one) => one.code),
      codes,
      name,
    )
    for (const one of findings) t.ok(one.fix.length > 10, `${name}: says what helps`)
  }
  t.equal(followingMode({ ...sound, subscription }), 'relay')
  t.equal(followingMode({ ...sound, relay: null, subscription }), 'native')
  t.end()
})

t.test('what may be lost', (t) => {
  const rows: Loss = {
    kind: 'rows',
    rows: 3,
    tables: [{ table: 'segments', rows: 3 }],
    reason: 'the relay has stopped',
  }
  const unknown = unknownLoss(
    'no answer',
    { ...sound, relay: { ...relay, quarantined: [{ table: 'lexicon', rows: 2 }] } },
    {
      folder: '/x',
      batches: 4,
      oldestCommitAt: null,
    },
  )
  const cases: [Loss, AcceptedLoss | null, string | null, RegExp][] = [
    [{ kind: 'none' }, null, null, /./],
    [rows, null, 'LOSS', /3 rows \(segments 3\) would be lost/],
    [rows, 2, 'LOSS', /the relay has stopped/],
    [rows, 3, null, /./],
    [rows, 'unknown', 'LOSS', /3 rows/],
    [{ ...rows, reason: null }, 0, 'DRIFT', /has caught up and is not what home has/],
    [
      unknown,
      null,
      'LOSS_UNKNOWN',
      /never had a heartbeat.*up to 0\/20.*4 batches wait.*2 rows were refused/,
    ],
    [unknown, 100, 'LOSS_UNKNOWN', /100 cannot be kept to/],
    [unknown, 'unknown', null, /./],
  ]
  for (const [loss, accepted, code, message] of cases) {
    const refusal = judgeLoss(loss, accepted)
    t.equal(refusal?.code ?? null, code)
    if (refusal === null) continue
    t.match(refusal.message, message)
    t.match(refusal, { exitCode: 3, hint: /ops promote --apply --accept-loss/ })
  }
  t.same(lossOf([{ table: 'x', differences: [], moreDifferences: 0 }], null), { kind: 'none' })
  t.end()
})

t.test('the plan has only what is not done, and the mark first', (t) => {
  const words = (cloud: Partial<CloudFacts>): string[] =>
    planPromotion({ ...sound, ...cloud }, home).map((one) => one.what)
  const promoted = { ...relay, state: 'promoted' as const }
  const [publish] = words({ relay: promoted })
  t.match(publish, /published tables/)
  t.match(words({})[0], /^mark it/)
  const broken: Partial<CloudFacts> = {
    relay: promoted,
    subscription,
    writers: [{ role: 'relay_x', tables: ['sources'] }],
    sequences: [
      {
        name: 'change_seq',
        maxima: '(select max(change_seq) from public.sources)',
        last: null,
        maximum: '9',
      },
      { name: 'ahead', maxima: '(select 1)', last: '10', maximum: '10' },
    ],
    foreignKeys: foreignKeys
      .slice(1)
      .map((key, at) => (at === 0 ? { ...key, definition: `${key.definition} NOT VALID` } : key)),
    triggers: [{ table: 'segments', trigger: 'segments_bury', fires: false }],
    identities: new Map([...sound.identities, ['sources', ['id']]]),
    publication: null,
  }
  t.match(words(broken), [
    /switch the subscription off/,
    /part it from its slot/,
    /drop the subscription homeport/,
    /take the right to write content from relay_x/,
    'have the sequence change_seq go on after 12',
    /bring back the foreign key embeddings_model_id_fkey/,
    /check every row against the foreign key embeddings_segment_id/,
    /switch the trigger segments_bury on/,
    /give sources its replica identity/,
    /publish the tables/,
  ])
  t.end()
})

t.test('what is left to do', (t) => {
  const gone = leftToDo(sound, null, false).join('\n')
  t.match(gone, /If the old home ever starts again.*pg_drop_replication_slot\('homeport_0123456789'\)/)
  t.match(gone, /never left home: this primary has none of them/)
  const slots = [{ name: 'homeport_other' }] as unknown as HomeFacts['slots']
  const alive = leftToDo(
    { ...sound, server: { ...sound.server, walLevel: 'replica' } },
    { ...home, slots },
    true,
  ).join('\n')
  t.match(alive, /2 sources with 9 segments, and the list of 4 files/)
  t.match(alive, /Other clouds still follow the old home \(slots homeport_other\)/)
  t.match(alive, /wal_level is replica/)
  t.notMatch(alive, /still keeps log/)
  t.end()
})
