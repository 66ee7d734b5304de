import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { from as copyFrom } from 'pg-copy-streams'
import { connect } from '../../../core/db.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { columnKind, type InsertMessage } from '../../../replication/pgoutput/messages.ts'
import { createDatabasePair, queryRows, uniqueName } from '../../support/databases.ts'
import { offeredSessions, takeChanges, type ReceivedMessage } from '../../support/pgoutput-changes.ts'

/** The send function of a type: its binary form. */
const sendFunctions = {
  bigint: 'int8send',
  integer: 'int4send',
  smallint: 'int2send',
  'integer[]': 'array_send',
  'smallint[]': 'array_send',
  real: 'float4send',
  'double precision': 'float8send',
  text: 'textsend',
  jsonb: 'jsonb_send',
  'timestamp with time zone': 'timestamptz_send',
  pg_lsn: 'pg_lsn_send',
  halfvec: 'halfvec_send',
} as const
type PublishedType = keyof typeof sendFunctions

/** Every type that is published, with values at and around its ends. */
const extremes: Readonly<Record<PublishedType, readonly string[]>> = {
  bigint: ['-9223372036854775808', '-1', '0', '9007199254740993', '9223372036854775807'],
  integer: ['-2147483648', '0', '2147483647'],
  smallint: ['-32768', '0', '32767'],
  'integer[]': [
    '{}',
    '{-2147483648,0,2147483647}',
    '{NULL,1,NULL}',
    '[0:1]={1,2}',
    '[-2:-1][5:6]={{1,2},{3,4}}',
  ],
  'smallint[]': ['{}', '{-32768,0,32767}', '{NULL}'],
  real: ['NaN', '-Infinity', 'Infinity', '-0', '1e-45', '1.17549435e-38', '3.4028235e38', '0.1'],
  'double precision': [
    'NaN',
    '-Infinity',
    'Infinity',
    '-0',
    '5e-324',
    '1.7976931348623157e308',
    '0.1',
    '0.30000000000000004',
  ],
  text: [
    '',
    ' ',
    'NULL',
    '\\N',
    '\\.',
    'a\tb\nc\r\nd\\e"f\'g',
    '\u0001\u007f',
    '\ufeff\ufffd\u2028\u00a0',
    'e\u0301 \u00e9 \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{10ffff}',
    'long '.repeat(300_000),
  ],
  jsonb: [
    'null',
    '""',
    '[]',
    '{}',
    '[{"speaker": null, "offset": 0, "startMs": null}, {"speaker": "\u00c9va \\"\u{1f600}\\"", "offset": 12, "startMs": 2147483647}]',
    '{"": {"b": [1, 1.0, 1.10, -0, 1e400, 123456789012345678901234567890.000000001]}}',
    `[${'"\\n", '.repeat(50_000)}true]`,
  ],
  'timestamp with time zone': [
    '-infinity',
    'infinity',
    '4714-11-24 00:00:00+00 BC',
    '0001-01-01 00:00:00+00',
    '1999-12-31 23:59:59.999999+00',
    '2000-01-01 00:00:00+00',
    '2024-02-29 12:34:56.000001+05:30',
    '294276-12-31 23:59:59.999999+00',
  ],
  pg_lsn: ['0/0', '0/1', '16/B374D848', 'FFFFFFFF/FFFFFFFF'],
  halfvec: ['[0]', '[-0,65504,-65504,5.9604645e-08,6.097555e-05,0.33325195]', `[${'1.5,'.repeat(15_999)}-1]`],
}

const types = Object.keys(sendFunctions) as PublishedType[]
const columns = ['id bigint primary key', ...types.map((type, index) => `c${index} ${type}`)]
const names = ['id', ...types.map((_, index) => `c${index}`)]
const rowCount = Math.max(...Object.values(extremes).map((values) => values.length)) + 1

t.test('the types here are the types that are published', async (t) => {
  const { primaryUrl } = await createDatabasePair(t)
  const published = await queryRows<{ type: string }>(
    primaryUrl,
    `select distinct format_type(a.atttypid, null) as type
     from pg_attribute a
     join unnest($1::text[], $2::text[]) as p (relation, name)
       on a.attrelid = p.relation::regclass and a.attname = p.name`,
    [
      publishedTables.flatMap((table) => table.columns.map(() => table.name)),
      publishedTables.flatMap((table) => table.columns),
    ],
  )
  t.strictSame(
    published.map(({ type }) => type).filter((type) => !(type in sendFunctions)),
    [],
  )
})

t.test('values arrive as the server sends them, and another server takes them exactly', async (t) => {
  const { primaryUrl, cloudUrl } = await createDatabasePair(t)
  for (const url of [primaryUrl, cloudUrl]) await queryRows(url, `create table extremes (${columns.join()})`)
  await queryRows(primaryUrl, `create publication extremes for table extremes`)
  const sessions = await createSessions(t, primaryUrl)
  await insertExtremes(primaryUrl)
  const sent = await valuesAs(primaryUrl, (name, type) => `${sendFunctions[type]}(${name})`)
  const printed = await valuesAs(primaryUrl, (name) => `convert_to(${name}::text, 'UTF8')`)

  for (const session of sessions) {
    const received = await takeChanges(primaryUrl, { ...session, publication: 'extremes' })
    const how = `protocol ${session.protocol}, streaming ${session.streaming}, binary ${session.binary}`
    await t.test(how, async () => {
      const rows = insertsOf(received)
      const kind = session.binary ? columnKind.binary : columnKind.text
      assert.deepEqual(
        rows.map((row) => [...row.new.kinds]),
        sent.map((row) => row.map((value) => (value === null ? columnKind.null : kind))),
      )
      assert.deepEqual(
        rows.map((row) => row.new.values),
        session.binary ? sent : printed,
      )
      await (session.binary ? copyBinary : insertText)(cloudUrl, rows)
      assert.deepEqual(
        await valuesAs(cloudUrl, (name, type) => `${sendFunctions[type]}(${name})`),
        sent,
        'the other server has the same values',
      )
      await queryRows(cloudUrl, 'truncate extremes')
    })
  }
})

t.test('a column without a binary form comes as text beside binary ones', async (t) => {
  const { primaryUrl } = await createDatabasePair(t)
  await queryRows(primaryUrl, `create table mixed (id bigint primary key, item aclitem)`)
  await queryRows(primaryUrl, `create publication extremes for table mixed`)
  const sessions = await createSessions(t, primaryUrl)
  await queryRows(primaryUrl, `insert into mixed values (1, 'postgres=r/postgres')`)
  for (const session of sessions.filter(({ binary }) => binary)) {
    const [insert] = insertsOf(await takeChanges(primaryUrl, { ...session, publication: 'extremes' }))
    t.strictSame([...(insert?.new.kinds ?? [])], [columnKind.binary, columnKind.text])
    t.equal(insert?.new.values[1]?.toString(), 'postgres=r/postgres')
  }
})

async function createSessions(t: Test, url: string) {
  const db = await connect({ connectionString: url, applicationName: 'homeport test' })
  t.teardown(() => db.end())
  const offered = await offeredSessions(db)
  const sessions = offered.flatMap((session) =>
    [false, true].map((binary) => ({ ...session, binary, slot: uniqueName('values') })),
  )
  for (const { slot } of sessions) {
    await db.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  }
  return sessions
}

async function insertExtremes(url: string): Promise<void> {
  const row = (index: number) => [String(index), ...types.map((type) => extremes[type][index] ?? null)]
  for (let index = 0; index < rowCount; index++) {
    const values = ['bigint', ...types].map((type, column) => `$${column + 1}::text::${type}`)
    await queryRows(url, `insert into extremes values (${values.join()})`, row(index))
  }
}

/** Every value of the table as bytes, in the order of the rows. */
async function valuesAs(url: string, expression: (name: string, type: PublishedType) => string) {
  const list = (['bigint', ...types] as const).map(
    (type, index) => `${expression(names[index] ?? '', type)} as v${index}`,
  )
  const rows = await queryRows<Record<string, Buffer | null>>(
    url,
    `select ${list.join()} from extremes order by id`,
  )
  return rows.map((row) => Object.values(row))
}

function insertsOf(received: readonly ReceivedMessage[]): InsertMessage[] {
  return received.flatMap(({ message }) => (message.type === 'insert' ? [message] : []))
}

/** The file format of COPY: what each type's receive function makes of the bytes as they came. */
async function copyBinary(url: string, rows: readonly InsertMessage[]): Promise<void> {
  const pieces: Buffer[] = [Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]
  for (const { new: tuple } of rows) {
    const count = Buffer.alloc(2)
    count.writeInt16BE(tuple.values.length)
    pieces.push(count)
    for (const value of tuple.values) {
      const length = Buffer.alloc(4)
      length.writeInt32BE(value?.length ?? -1)
      pieces.push(length, ...(value === null ? [] : [value]))
    }
  }
  pieces.push(Buffer.from('ffff', 'hex'))
  const db = await connect({ connectionString: url, applicationName: 'homeport test' })
  try {
    const copy = db.query(copyFrom(`copy extremes (${names.join()}) from stdin (format binary)`))
    await pipeline(Readable.from(pieces), copy)
  } finally {
    await db.end()
  }
}

async function insertText(url: string, rows: readonly InsertMessage[]): Promise<void> {
  const values = ['bigint', ...types].map((type, column) => `$${column + 1}::text::${type}`)
  for (const { new: tuple } of rows) {
    await queryRows(
      url,
      `insert into extremes (${names.join()}) values (${values.join()})`,
      tuple.values.map((value) => value?.toString() ?? null),
    )
  }
}
