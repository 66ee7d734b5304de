import t, { type Test } from 'tap'
import { connect } from '../../../core/db.ts'
import { columnKind, type PgoutputMessage, type Tuple } from '../../../replication/pgoutput/messages.ts'
import { createDatabase, uniqueName } from '../../support/databases.ts'
import { offeredSessions, takeChanges, type ReceivedMessage } from '../../support/pgoutput-changes.ts'
import { wholeTransactions } from '../../support/pgoutput-transactions.ts'

const schema = [
  `create type mood as enum ('calm', 'loud')`,
  `create table talks (id bigint primary key, visibility text not null, body text, mood mood)`,
  // Never compressed: a body of some kilobytes lies outside of the row.
  `alter table talks alter column body set storage external`,
  `create unique index talks_identity on talks (id, visibility)`,
  `alter table talks replica identity using index talks_identity`,
  `create table notes (id integer primary key, note text)`,
  `alter table notes replica identity full`,
  `alter table notes alter column note set storage external`,
  `create table marks (id serial primary key, talk_id bigint)`,
  `create publication talks for table talks where (visibility = 'public'), notes, marks`,
]
const body = `repeat('x', 5000)`

/** A session on a fresh database with these tables, and a slot for each way to read it. */
async function createScenario(t: Test) {
  const url = await createDatabase(t, 'primary', { migrate: false })
  const open = async () => {
    const db = await connect({ connectionString: url, applicationName: 'homeport test' })
    t.teardown(() => db.end())
    return db
  }
  const db = await open()
  for (const statement of schema) await db.query(statement)
  const sessions = (await offeredSessions(db)).map((session) => ({
    ...session,
    slot: uniqueName('session'),
    publication: 'talks',
    title: `protocol ${session.protocol}, streaming ${session.streaming}`,
  }))
  for (const { slot } of sessions) {
    await db.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  }
  return { url, open, db, sessions }
}

t.test('what a server sends for every kind of change', async (t) => {
  const { url, db, sessions } = await createScenario(t)
  const origin = uniqueName('origin')
  await db.query(`select pg_replication_origin_create($1)`, [origin])
  const talks = 'relation public.talks identity i (id*, visibility*, body, mood)'
  const notes = 'relation public.notes identity f (id*, note*)'
  const marks = 'relation public.marks identity d (id*, talk_id)'
  const steps: [statements: string | string[], sent: string[]][] = [
    [
      [`insert into talks values (1, 'public', ${body}, 'calm'), (2, 'private', ${body}, null)`],
      ['begin', 'type public.mood', talks, 'insert talks 1 public x*5000 calm', 'commit'],
    ],
    [`update talks set mood = 'loud'`, ['begin', 'update talks 1 public unchanged loud', 'commit']],
    [`update talks set body = 'y'`, ['begin', 'update talks 1 public y loud', 'commit']],
    [
      `update talks set id = 3, mood = null where id = 1`,
      ['begin', 'update talks key(1 public null null) 3 public y null', 'commit'],
    ],
    [`update talks set visibility = 'private'`, ['begin', 'delete talks key(3 public null null)', 'commit']],
    [`update talks set body = ${body}`, []],
    [
      `update talks set visibility = 'public' where id = 3`,
      ['begin', 'insert talks 3 public unchanged null', 'commit'],
    ],
    [`delete from talks`, ['begin', 'delete talks key(3 public null null)', 'commit']],
    [`insert into notes values (1, ${body})`, ['begin', notes, 'insert notes 1 x*5000', 'commit']],
    [`update notes set id = 2`, ['begin', 'update notes full(1 x*5000) 2 unchanged', 'commit']],
    [`delete from notes`, ['begin', 'delete notes full(2 x*5000)', 'commit']],
    [
      `truncate talks, notes, marks restart identity cascade`,
      [
        'begin',
        'type public.mood',
        talks,
        notes,
        marks,
        'truncate talks notes marks cascade restart',
        'commit',
      ],
    ],
    // A truncate makes the server describe its tables again.
    [`truncate marks`, ['begin', marks, 'truncate marks', 'commit']],
    [
      `select pg_logical_emit_message(true, 'a "prefix"', 'content')`,
      ['begin', 'message inside a "prefix" content', 'commit'],
    ],
    [`select pg_logical_emit_message(false, '', decode('00ff', 'hex'))`, ['message beside  \0\ufffd']],
    [
      [
        `select pg_replication_origin_session_setup('${origin}')`,
        `begin`,
        `select pg_replication_origin_xact_setup('16/B374D848', now())`,
        `insert into marks (talk_id) values (null)`,
        `commit`,
        `select pg_replication_origin_session_reset()`,
      ],
      ['begin', `origin ${origin} 16b374d848`, marks, 'insert marks 1 null', 'commit'],
    ],
    [[`begin`, `insert into marks values (2)`, `savepoint s`, `insert into marks values (3)`], []],
    [
      [`rollback to s`, `insert into marks values (4)`, `commit`],
      ['begin', 'insert marks 2 null', 'insert marks 4 null', 'commit'],
    ],
    [
      [`alter table marks add column "Größe" integer default 7`, `delete from marks where id = 2`],
      [
        'begin',
        'relation public.marks identity d (id*, talk_id, Größe)',
        'delete marks key(2 null null)',
        'commit',
      ],
    ],
  ]
  for (const [statements] of steps) for (const statement of [statements].flat()) await db.query(statement)
  await db.query(`select pg_replication_origin_drop($1)`, [origin])
  const sent = steps.flatMap(([, lines]) => lines)
  for (const session of sessions) {
    t.strictSame(summarize(await takeChanges(url, session)), sent, session.title)
  }
})

t.test('streamed transactions are, normalized, what an unstreamed session sends', async (t) => {
  const { url, open, db, sessions } = await createScenario(t)
  const fill = (from: number, to: number) =>
    `insert into talks select n, 'public', repeat(md5(n::text), 60), 'calm' from generate_series(${from}, ${to}) n`
  const other = await open()

  // Two that grow side by side, with savepoints kept, given up, and given up within one that is kept.
  for (const session of [db, other]) await session.query('begin')
  await db.query(fill(1, 200))
  await other.query(fill(1001, 1200))
  await db.query('savepoint given_up')
  await db.query(`insert into notes select n, repeat('n', 900) from generate_series(1, 200) n`)
  await db.query('rollback to given_up')
  await other.query('savepoint kept')
  await other.query(`update talks set mood = 'loud' where id > 1000`)
  await other.query('savepoint inner_given_up')
  await other.query(`delete from talks where id > 1100`)
  await other.query(fill(1201, 1400))
  await other.query('rollback to inner_given_up')
  await other.query('release kept')
  await db.query(`insert into notes select n, repeat('m', 900) from generate_series(1, 200) n`)
  await db.query(`select pg_logical_emit_message(true, 'inside', repeat('c', 100000))`)
  await db.query(`select pg_logical_emit_message(false, 'beside', 'now')`)
  // The second to begin is the first to commit.
  await other.query('commit')
  await db.query('commit')

  // One that changes a table half way, one that is given up whole, one too small to be streamed.
  await db.query('begin')
  await db.query(fill(2001, 2200))
  await db.query(`alter table talks add column extra integer default 1`)
  await db.query(fill(2201, 2400).replace(`'calm'`, `'calm', n`))
  await db.query(`truncate marks`)
  await db.query('commit')
  await db.query('begin')
  await db.query(fill(3001, 3400).replace(`'calm'`, `'calm', n`))
  await db.query('rollback')
  await db.query(`update talks set id = -id where id < 10`)

  const [plain, ...streamed] = sessions
  if (plain === undefined) throw new Error('no session')
  const wanted = wholeTransactions(await takeChanges(url, plain))
  t.equal(wanted.transactions.length, 4)
  t.equal(wanted.loose.length, 1)
  for (const session of streamed) {
    const received = await takeChanges(url, session)
    t.ok(countOf(received, 'streamStart') > 10, `${session.title}: in many pieces`)
    // Postgres 18 knows by then that the third was given up whole, and sends nothing of it.
    t.ok(countOf(received, 'streamAbort') >= 2, `${session.title}: savepoints are given up`)
    t.equal(countOf(received, 'streamCommit'), 3)
    t.equal(
      received.some(({ message }) => message.type === 'streamAbort' && message.abortLsn !== null),
      session.streaming === 'parallel',
      `${session.title}: an abort says where only when streamed in parallel`,
    )
    t.ok(isInterleaved(received), `${session.title}: pieces of both come in turn`)
    const found = wholeTransactions(received)
    t.equal(found.transactions.length, wanted.transactions.length)
    for (const [index, transaction] of wanted.transactions.entries()) {
      // Compared as text, for a short answer when they differ.
      t.ok(
        found.transactions[index]?.join('\n') === transaction.join('\n'),
        `${session.title}: transaction ${index} of ${transaction.length} lines is the same`,
      )
    }
    t.strictSame(found.loose, wanted.loose)
  }
})

function countOf(received: readonly ReceivedMessage[], type: PgoutputMessage['type']): number {
  return received.filter(({ message }) => message.type === type).length
}

function isInterleaved(received: readonly ReceivedMessage[]): boolean {
  const xids = received.flatMap(({ message }) => (message.type === 'streamStart' ? [message.xid] : []))
  return xids.some((xid, index) => xids[index + 1] !== xid && xids.indexOf(xid, index + 1) > index)
}

function summarize(received: readonly ReceivedMessage[]): string[] {
  const names = new Map<number, string>()
  for (const { message } of received) if (message.type === 'relation') names.set(message.oid, message.name)
  return received.map(({ message }) => [message.type, ...describe(message, names)].join(' '))
}

function describe(message: PgoutputMessage, names: ReadonlyMap<number, string>): (string | undefined)[] {
  if (message.type === 'relation') {
    const columns = message.columns.map(({ name, isKey }) => `${name}${isKey ? '*' : ''}`)
    const identity = `identity ${message.replicaIdentity}`
    return [`${message.schema}.${message.name}`, identity, `(${columns.join(', ')})`]
  }
  if (message.type === 'type') return [`${message.schema}.${message.name}`]
  if (message.type === 'origin') return [message.name, message.commitLsn.toString(16)]
  if (message.type === 'message') {
    return [message.isTransactional ? 'inside' : 'beside', message.prefix, message.content.toString()]
  }
  if (message.type === 'truncate') {
    const flags = [message.cascade ? 'cascade' : [], message.restartIdentity ? 'restart' : []].flat()
    return [...message.relationOids.map((oid) => names.get(oid)), ...flags]
  }
  if (!('relationOid' in message)) return []
  const old = 'old' in message && message.old !== null ? [`${message.oldKind}(${show(message.old)})`] : []
  return [names.get(message.relationOid), ...old, ...('new' in message ? [show(message.new)] : [])]
}

function show({ kinds, values }: Tuple): string {
  return values
    .map((value, column) => {
      if (kinds[column] === columnKind.unchanged) return 'unchanged'
      const text = value?.toString() ?? 'null'
      return text.length > 99 ? `${text[0]}*${text.length}` : text
    })
    .join(' ')
}
