import t, { type Test } from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../core/db.ts'
import { migrate } from '../core/migrate.ts'
import { fragment, identifier, literal, renderSql, sqlFolder, type SqlFragment } from '../core/sql.ts'
import { createDatabase } from './support/databases.ts'
import { privateCluster17, withoutPostgres17 } from './support/postgres-17.ts'

/** Something that fits each placeholder in a statement of its kind. */
const samples: Readonly<Record<string, SqlFragment>> = {
  model: fragment('1'),
  dimensions: fragment('8'),
  bucket: fragment('0'),
  rest: fragment('case when random() * 64 < 1 then pg_sleep(0.0009) end'),
  step: fragment('10'),
  depth: fragment('10'),
  limit: fragment('10'),
  rows: fragment('10'),
  table: identifier('lexicon'),
  values: fragment('int4send(t.term) as c0'),
  hash: fragment('octet_length(s.c0)::bigint'),
  columnHashes: fragment('array[1]::text[]'),
  condition: fragment('true'),
  keyText: fragment('array[t.term::text]'),
  keys: fragment('t.term'),
  keyColumns: fragment('t.term'),
  wantedKeys: fragment('w.k0::integer'),
  arrays: fragment('$1::text[]'),
  names: fragment('k0'),
  slot: literal('slot'),
  bytes: fragment('octet_length(s.c0)'),
  columns: fragment('term, documents'),
  parameters: fragment('$1, $2'),
  key: fragment('term'),
  match: fragment('term = $1'),
  assignments: fragment('documents = $2'),
  typesRow: fragment('((null::public.lexicon).term, (null::public.lexicon).documents)'),
  rowsOfParameters: fragment('($1, $2), ($3, $4)'),
  sameKey: fragment('t.term = run.term'),
  maxima: fragment('(select max(change_seq) from public.sources)'),
  valueText: fragment('array[t.documents::text]'),
  tableName: literal('lexicon'),
  image: fragment('to_jsonb(t)'),
  run: fragment('$2'),
  keyArray: fragment('$3'),
  printedKey: fragment('array[t.term::text]'),
  lsn: fragment('$4'),
}

/** Postgres prepares these; utility statements (roles, publications, copy) run for real in the tests of their rooms. */
const preparable = /^(?:\s|--[^\n]*\n)*(?:select|insert|update|delete|with|values)\b/i

t.test('every statement fits the migrated schema', async (t) => {
  await prepareAll(t, await createDatabase(t, 'primary'))
})

t.test('and that on Postgres 17', { skip: withoutPostgres17() }, async (t) => {
  const url = (await privateCluster17(t, 'primary')).superuserUrl()
  await migrate(url)
  await prepareAll(t, url)
})

async function prepareAll(t: Test, url: string): Promise<void> {
  const client = await connect({ connectionString: url, applicationName: 'homeport test' })
  t.teardown(() => client.end())
  const folders = readdirSync(sqlFolder).filter((folder) => folder !== 'migrations')
  let prepared = 0
  for (const folder of folders) {
    for (const file of readdirSync(join(sqlFolder, folder)).sort()) {
      const name = `${folder}/${file.replace(/\.sql$/, '')}`
      const text = readFileSync(join(sqlFolder, folder, file), 'utf8')
      if (!preparable.test(text)) {
        t.notOk(['queries', 'checks'].includes(folder), `${name} is run by the tests of its room`)
        continue
      }
      prepared += 1
      const statement = numberParameters(renderSql(name, samples))
      await t.resolves(client.query(`prepare statement_${prepared} as ${statement}`), name)
    }
  }
  t.ok(prepared > 20)
}

/** knex, on the write side, writes its parameters as question marks. */
function numberParameters(sql: string): string {
  let count = 0
  return sql.replace(/(?<!\\)\?/g, () => `$${(count += 1)}`)
}
