import t from 'tap'
import { publishedTables } from '../../core/published-tables.ts'
import type { Credentials } from '../../replication/credentials.ts'
import { judgeExisting, judgeFilledTables } from '../../replication/existing-verdicts.ts'
import { describeFindings, refuseOnErrors, type Finding } from '../../replication/finding.ts'
import type { RoleFacts } from '../../replication/role-facts.ts'
import { judgeRole } from '../../replication/role-verdicts.ts'
import { filterColumns } from '../../replication/schema-tables.ts'
import { judgeSchema } from '../../replication/schema-verdicts.ts'
import { compareVersions, isSameServer, type ServerFacts } from '../../replication/server-facts.ts'
import { judgeServer, judgeServerPair } from '../../replication/server-verdicts.ts'
import { judgeCloudSettings, judgePrimarySettings } from '../../replication/settings-verdicts.ts'
import type { SubscriptionState } from '../../replication/subscription.ts'
import type { TableFacts } from '../../replication/table-facts.ts'
import { soundServer as sound, soundSlot, soundSubscription } from './sound-facts.ts'

function codes(findings: readonly Finding[]): string[] {
  return findings.map((finding) => finding.code)
}

t.test('a server that cannot be used', async (t) => {
  const cases: [string, Partial<ServerFacts>, string[]][] = [
    ['nothing is wrong', {}, []],
    ['14', { versionNumber: 140011, versionText: '14.11' }, ['POSTGRES_TOO_OLD']],
    ['15 is enough', { versionNumber: 150000 }, []],
    ['another encoding', { encoding: 'SQL_ASCII' }, ['DATABASE_ENCODING']],
    ['another client encoding', { clientEncoding: 'latin1' }, ['CLIENT_ENCODING']],
    ['the same one', { clientEncoding: 'utf8' }, []],
    ['a standby', { inRecovery: true }, ['SERVER_IN_RECOVERY']],
    ['no pgvector', { pgvector: null, pgvectorAvailable: null }, ['PGVECTOR_MISSING']],
    ['not created yet', { pgvector: null, pgvectorAvailable: '0.8.4' }, []],
    ['before halfvec', { pgvector: '0.6.2', pgvectorAvailable: '0.6.2' }, ['PGVECTOR_TOO_OLD']],
    ['numbers, not letters', { pgvector: '0.10.0', pgvectorAvailable: '0.10.0' }, []],
    ['unsafe builds', { pgvector: '0.8.1', pgvectorAvailable: '0.8.1' }, ['PGVECTOR_UNSAFE_BUILD']],
    ['unsound vacuum', { pgvector: '0.8.3', pgvectorAvailable: '0.8.3' }, ['PGVECTOR_UNSOUND_VACUUM']],
  ]
  for (const [name, change, expected] of cases) {
    t.strictSame(codes(judgeServer('cloud', { ...sound, ...change })), expected, name)
  }
  const [old] = judgeServer('cloud', { ...sound, pgvector: '0.6.2', pgvectorAvailable: '0.8.4' })
  t.match(old?.fix, /alter extension vector update .*0\.8\.4/, 'says when an update is already installed')
  t.match(
    judgeServer('cloud', { ...sound, pgvector: null, pgvectorAvailable: null })[0]?.fix,
    /postgresql-17-pgvector/,
  )
  t.ok(compareVersions('0.8.10', '0.8.9') > 0)
})

t.test('one server on both sides', async (t) => {
  t.equal(isSameServer(sound, sound), true)
  t.equal(
    isSameServer(sound, { systemIdentifier: '7000', startedAt: '2' }),
    false,
    'a physical copy is another server',
  )
  t.equal(
    isSameServer(sound, { systemIdentifier: null, startedAt: '1.000001' }),
    true,
    'where one may not be read',
  )
  t.match(judgeServerPair(sound, sound)[0]?.message, /the same database/)
  t.match(
    judgeServerPair(sound, { ...sound, databaseOid: '6' })[0]?.message,
    /two databases of the same server/,
  )
  t.strictSame(codes(judgeServerPair(sound, sound)), ['SAME_SERVER'])
})

t.test('settings and rights', async (t) => {
  const primary: [Partial<ServerFacts>, string[]][] = [
    [{}, []],
    [{ walLevel: 'replica' }, ['WAL_LEVEL']],
    [{ usedSlots: 8 }, ['TOO_FEW_SLOTS']],
    [{ usedSlots: 7 }, []],
    [{ usedWalSenders: 8 }, ['TOO_FEW_WAL_SENDERS']],
    [{ superuser: false, replication: false }, ['PRIMARY_NO_REPLICATION']],
    [{ superuser: false, mayCreateInDatabase: false }, ['PRIMARY_NO_CREATE']],
    [{ slotWalKeepSize: '-1' }, ['WAL_KEPT_FOR_EVER']],
    [
      { walLevel: 'minimal', usedSlots: 10, usedWalSenders: 10 },
      ['WAL_LEVEL', 'TOO_FEW_SLOTS', 'TOO_FEW_WAL_SENDERS'],
    ],
  ]
  for (const [change, expected] of primary) {
    const input = { primary: { ...sound, ...change }, cloud: sound, subscribed: false }
    t.strictSame(codes(judgePrimarySettings(input)), expected, JSON.stringify(change))
  }
  const cloud: [Partial<ServerFacts>, string[]][] = [
    [{}, []],
    [{ walLevel: 'replica' }, []],
    [{ usedLogicalWorkers: 2 }, ['TOO_FEW_LOGICAL_WORKERS']],
    [{ maxWorkerProcesses: 4 }, ['TOO_FEW_WORKER_PROCESSES']],
    [{ usedOrigins: 9 }, ['TOO_FEW_ORIGINS']],
    [{ superuser: false, versionNumber: 150004 }, ['CLOUD_NEEDS_SUPERUSER']],
    [{ superuser: false }, ['CLOUD_NO_SUBSCRIPTION_RIGHT']],
    [{ superuser: false, mayCreateSubscription: true }, []],
    [{ superuser: false, mayCreateSubscription: true, mayCreateInDatabase: false }, ['CLOUD_NO_CREATE']],
    [{ pgvector: '0.8.5' }, ['PGVECTOR_DIFFERS']],
  ]
  for (const [change, expected] of cloud) {
    const input = { primary: sound, cloud: { ...sound, ...change }, subscribed: false }
    t.strictSame(codes(judgeCloudSettings(input)), expected, JSON.stringify(change))
  }
  const full = { ...sound, usedSlots: 10, usedWalSenders: 10, usedLogicalWorkers: 4, usedOrigins: 10 }
  const relay = { primary: sound, cloud: sound, subscribed: false, mode: 'relay' } as const
  t.strictSame(judgePrimarySettings({ ...relay, primary: { ...sound, usedSlots: 8, usedWalSenders: 8 } }), [])
  t.strictSame(
    codes(judgePrimarySettings({ ...relay, primary: { ...sound, usedSlots: 9, usedWalSenders: 9 } })),
    ['TOO_FEW_SLOTS', 'TOO_FEW_WAL_SENDERS'],
    'one to stay, and one for a copy that is resumed',
  )
  const running = { primary: full, cloud: full, subscribed: true }
  t.strictSame(
    [...judgePrimarySettings(running), ...judgeCloudSettings(running)],
    [],
    'what runs counts as used',
  )
})

t.test('roles', async (t) => {
  const credentials: Credentials = { role: 'reader', password: 'x', database: 'home', parameters: [] }
  const plain: RoleFacts = {
    superuser: false,
    replication: false,
    createRole: false,
    createDatabase: false,
    bypassRowSecurity: false,
    login: true,
    mayAlter: true,
    connectionLimit: 40,
    settings: [],
    databaseSettings: [],
    memberOf: [],
    owns: 0,
  }
  const judge = (
    facts: Partial<RoleFacts> | null,
    change: Partial<Credentials> = {},
    server: Partial<ServerFacts> = {},
  ) =>
    judgeRole({
      side: 'cloud',
      setting: 'DATABASE_URL',
      credentials: { ...credentials, ...change },
      state: { facts: facts === null ? null : { ...plain, ...facts }, grants: [], passwordMatches: true },
      server: { ...sound, ...server },
    })
  t.strictSame(judge({}), [])
  t.strictSame(judge(null), [])
  t.strictSame(codes(judge(null, {}, { superuser: false, createRole: false })), ['MAY_NOT_CREATE_ROLE'])
  t.strictSame(codes(judge({}, { role: 'owner' })), ['ROLE_CONFLICT'])
  for (const role of ['public', 'none', 'pg_reader', 'r'.repeat(64)]) {
    t.strictSame(codes(judge(null, { role })), ['ROLE_NAME'], role)
  }
  const fixed = { mayAlter: false }
  t.strictSame(judge(fixed), [], 'made by an administrator, and as it should be')
  t.strictSame(codes(judge({ ...fixed, login: false })), ['MAY_NOT_ALTER_ROLE'])
  t.strictSame(codes(judge({}, { database: 'other' })), ['DATABASE_DIFFERS'])
  const powers: Partial<RoleFacts>[] = [
    { superuser: true },
    { createRole: true },
    { createDatabase: true },
    { bypassRowSecurity: true },
    { replication: true },
    { owns: 1 },
    { memberOf: ['pg_write_all_data'] },
  ]
  for (const power of powers) t.strictSame(codes(judge(power)), ['ROLE_TOO_POWERFUL'], JSON.stringify(power))
})

t.test('schemas', async (t) => {
  const facts = (
    change: (table: TableFacts) => TableFacts | null = (table) => table,
  ): Map<string, TableFacts> =>
    new Map(
      publishedTables.flatMap((table): [string, TableFacts][] => {
        const full = change({
          table: table.name,
          oid: '1',
          rowSecurity: false,
          owned: true,
          identity: [...table.key, ...filterColumns(table)],
          primaryKey: table.key,
          primaryKeyName: `${table.name}_pkey`,
          columns: table.columns.map((column) => ({
            column,
            type: 'bigint',
            send: 'int8send',
            isText: false,
            required: false,
            notNull: false,
            generated: false,
            default: null,
          })),
        })
        return full === null ? [] : [[table.name, full]]
      }),
    )
  const only = (name: string, change: Partial<TableFacts> | null) =>
    facts((table) => (table.table !== name ? table : change === null ? null : { ...table, ...change }))
  const judge = (primary: Map<string, TableFacts>, cloud: Map<string, TableFacts>) =>
    judgeSchema({ tables: publishedTables, primary, cloud }).map((one) => [one.side, one.severity, one.code])
  t.strictSame(judge(facts(), facts()), [])
  t.strictSame(judge(only('lexicon', null), facts()), [['primary', 'error', 'TABLE_MISSING']])
  t.strictSame(judge(only('sources', { identity: ['id'] }), facts()), [
    ['primary', 'error', 'REPLICA_IDENTITY'],
  ])
  t.strictSame(judge(facts(), only('lexicon', { identity: null })), [['cloud', 'error', 'REPLICA_IDENTITY']])
  const keyless = { primaryKey: null, primaryKeyName: null, identity: null }
  t.strictSame(judge(facts(), only('lexicon', keyless)), [['cloud', 'error', 'PRIMARY_KEY_DIFFERS']])
  t.strictSame(judge(only('lexicon', { primaryKey: ['documents'], identity: ['documents'] }), facts()), [
    ['primary', 'error', 'PRIMARY_KEY_DIFFERS'],
  ])
  t.strictSame(judge(facts(), only('segments', { rowSecurity: true })), [['cloud', 'error', 'ROW_SECURITY']])
  t.strictSame(judge(only('segments', { owned: false }), facts()), [['primary', 'error', 'NOT_OWNER']])
  const column = (name: string, type: string) => ({
    column: name,
    type,
    send: 'int8send',
    isText: false,
    required: false,
    notNull: false,
    generated: false,
    default: null,
  })
  const lexicon = [column('term', 'bigint'), column('documents', 'bigint')]
  t.strictSame(judge(facts(), only('lexicon', { columns: lexicon.slice(0, 1) })), [
    ['cloud', 'error', 'COLUMN_MISSING'],
  ])
  const extra = only('lexicon', { columns: [...lexicon, column('more', 'bigint')] })
  t.strictSame(judge(extra, facts()), [['primary', 'error', 'COLUMN_UNKNOWN']])
  t.strictSame(judge(facts(), extra), [['cloud', 'warning', 'COLUMN_UNKNOWN']])
  const other = only('lexicon', { columns: [column('term', 'text'), column('documents', 'bigint')] })
  t.strictSame(judge(facts(), other), [['cloud', 'error', 'TYPE_DIFFERS']])
  const vector = (type: string) =>
    only('lexicon', { columns: [column('term', type), column('documents', 'bigint')] })
  t.strictSame(judge(vector('extensions.halfvec'), vector('halfvec')), [], 'the extension may live elsewhere')
})

t.test('what is there and cannot be altered', async (t) => {
  const subscription: SubscriptionState = { ...soundSubscription, connection: null }
  const slot = soundSlot
  const publication = { allTables: false, allOperations: true, tables: [] }
  const there = { subscription, slots: [slot], publication, slot: 'homeport_1' }
  t.strictSame(judgeExisting(there), [])
  t.strictSame(judgeExisting({ subscription: null, slots: [], publication: null, slot: 'homeport_1' }), [])
  t.strictSame(codes(judgeExisting({ ...there, subscription: null })), ['SLOT_HELD'])
  const idle = { ...slot, active: false, activePid: null }
  t.strictSame(
    judgeExisting({ ...there, subscription: null, slots: [idle] }),
    [],
    'left over: it is replaced',
  )
  t.strictSame(codes(judgeExisting({ ...there, slots: [] })), ['SLOT_LOST'])
  t.strictSame(codes(judgeExisting({ ...there, slots: [{ ...slot, walStatus: 'lost' }] })), ['SLOT_LOST'])
  t.strictSame(codes(judgeExisting({ ...there, publication: { ...publication, allTables: true } })), [
    'PUBLICATION_OF_ALL_TABLES',
  ])
  t.strictSame(
    codes(judgeExisting({ ...there, subscription: { ...subscription, publications: ['other'] } })),
    ['SUBSCRIPTION_FOREIGN'],
  )
  t.match(judgeFilledTables(['sources', 'segments'])[0]?.fix, 'truncate sources, segments cascade')
})

t.test('all errors are told at once, warnings stop nothing', async (t) => {
  const finding = (code: string, severity: Finding['severity']): Finding => ({
    code,
    side: 'primary',
    severity,
    message: `${code} is wrong`,
    fix: `fix ${code}`,
  })
  t.doesNotThrow(() => refuseOnErrors([finding('A', 'warning')], 'no'))
  t.throws(() => refuseOnErrors([finding('A', 'error'), finding('W', 'warning')], 'no'), {
    code: 'A',
    hint: 'fix A',
    exitCode: 2,
  })
  t.throws(() => refuseOnErrors([finding('A', 'error'), finding('B', 'error')], 'no'), {
    code: 'PREFLIGHT',
    message: /A is wrong[\s\S]*fix A[\s\S]*B is wrong[\s\S]*fix B/,
  })
  t.match(describeFindings([finding('W', 'warning')]), /^! primary: W is wrong/)
})
