import t from 'tap'
import type pg from 'pg'
import { publishedTables, type PublishedTable } from '../../../../core/published-tables.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { applyFetching, createFollowing, insertSources, type Following } from './fixture.ts'

/** Notes every statement that writes to a table of the cloud; the answer takes the notes, as `UPDATE 20`. */
async function watchStatements(cloud: pg.Pool, table: string): Promise<() => Promise<string[]>> {
  await cloud.query(`
    create table if not exists statements (id bigint generated always as identity, what text);
    create or replace function note_statement() returns trigger language plpgsql as $$
    begin
      insert into statements (what) select tg_op || ' ' || count(*) from affected;
      return null;
    end $$`)
  for (const [operation, rows] of [
    ['update', 'new'],
    ['delete', 'old'],
  ]) {
    await cloud.query(`
      create trigger note_${operation} after ${operation} on ${table}
        referencing ${rows} table as affected for each statement execute function note_statement();
      alter table ${table} enable always trigger note_${operation}`)
  }
  return async () => {
    const { rows } = await cloud.query<{ id: string; what: string }>('delete from statements returning *')
    return rows.sort((a, b) => Number(a.id) - Number(b.id)).map(({ what }) => what)
  }
}

async function insertVectors({ primary }: Following, count: number): Promise<void> {
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (1, 'm', 'lsa', 'f', 3, 0, 0, 'active')`,
  )
  await primary.query(
    `insert into model_terms select 1, n, array[n, 2, 3]::real[]::halfvec from generate_series(1, $1::integer) n`,
    [count],
  )
}

t.test('updates of vectors and deletes by a key of two columns go in one statement', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertVectors(following, 1200)
  await following.follow()
  const statements = await watchStatements(cloud, 'model_terms')
  await primary.query(`update model_terms set basis = array[5, term, 6]::real[]::halfvec`)
  t.match(await following.follow(), { resolved: 0, rows: 1200 })
  t.same(await statements(), ['UPDATE 500', 'UPDATE 500', 'UPDATE 200'])
  t.same(await compareRows(primary, cloud), [])

  await primary.query(`delete from model_terms where term between 11 and 30`)
  t.match(await following.follow(), { resolved: 0, rows: 20 })
  t.same(await statements(), ['DELETE 20'])
  t.same(await compareRows(primary, cloud), [])

  await primary.query(`update model_terms set basis = array[8, term]::real[]::halfvec where term < 18`)
  t.match(await following.follow({ binary: false }), { resolved: 0, rows: 10 })
  t.same(
    await statements(),
    Array.from({ length: 10 }, () => 'UPDATE 1'),
    'text goes row by row',
  )
  t.same(await compareRows(primary, cloud), [])
})

t.test('also after pgvector moved to another schema, and was made anew', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl } = following
  await insertVectors(following, 20)
  await following.follow()
  const statements = await watchStatements(cloud, 'model_terms')
  for (const again of [
    'create schema extensions; alter extension vector set schema extensions',
    `drop extension vector cascade; create extension vector schema extensions;
     alter table model_terms add column basis extensions.halfvec;
     alter table embeddings add column embedding extensions.halfvec`,
  ]) {
    await queryRows(cloudUrl, again)
    await primary.query(`update model_terms set basis = array[1, term, random()]::real[]::halfvec`)
    t.match(await following.follow(), { resolved: 0, rows: 20 })
    t.same(await statements(), ['UPDATE 20'])
    t.same(await compareRows(primary, cloud), [])
  }
})

t.test('a row that is updated again is updated after the first time', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await primary.query('insert into lexicon select n, n from generate_series(1, 20) n')
  await following.follow()
  const statements = await watchStatements(cloud, 'lexicon')
  await primary.query('update lexicon set documents = documents + 100')
  await primary.query('update lexicon set documents = documents * 2 where term > 5')
  t.match(await following.follow(), { resolved: 0, rows: 35 })
  t.same(await statements(), ['UPDATE 20', 'UPDATE 15'])
  t.same(await compareRows(primary, cloud), [])
})

t.test('a key that changes is changed by itself; a whole row before is no other key', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await primary.query('insert into lexicon select n, n from generate_series(1, 20) n')
  await following.follow()
  const statements = await watchStatements(cloud, 'lexicon')
  await primary.query('update lexicon set term = term + 100')
  await following.follow()
  t.same(
    await statements(),
    Array.from({ length: 20 }, () => 'UPDATE 1'),
  )
  t.same(await compareRows(primary, cloud), [])
  await primary.query('alter table lexicon replica identity full')
  await primary.query('update lexicon set documents = documents + 1')
  await primary.query('delete from lexicon where term > 105')
  t.match(await following.follow(), { resolved: 0 })
  t.same(await statements(), ['UPDATE 20', 'DELETE 15'])
  t.same(await compareRows(primary, cloud), [])
})

t.test('nulls, empty values, arrays, and values that were not sent', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 20)
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine, word_starts_ms)
     select n, n, 'public', 0, case when n > 10 then (select string_agg(md5((n * k)::text), '') from generate_series(1, 500) k) else '' end,
       '[]', 'test', case when n % 3 > 0 then array[n, null, 3] end from generate_series(1, 20) n`,
  )
  await following.follow()
  const statements = await watchStatements(cloud, 'segments')
  await watchStatements(cloud, 'sources')
  await primary.query(
    `update sources set url = case id % 3 when 0 then null when 1 then '' else url end, views = nullif(id % 4, 0)`,
  )
  await primary.query(
    `update segments set speaker = nullif('Ann', case when id % 2 = 0 then 'Ann' end), chapter = '', word_starts_ms = word_starts_ms || 7`,
  )
  t.match(await following.follow(), { resolved: 0, rows: 40 })
  t.same(await statements(), ['UPDATE 20', 'UPDATE 10', 'UPDATE 10'])
  t.same(await compareRows(primary, cloud), [])
})

t.test('a row that the cloud lost is found in its run', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 1)
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select n, 1, 'public', n, (select string_agg(md5((n * k)::text), '') from generate_series(1, 500) k), '[]', 'test'
     from generate_series(1, 20) n`,
  )
  await following.follow()
  await cloud.query('delete from segments where id = 7')
  await primary.query(`update segments set speaker = 'Ann'`)
  const batch = following.batch(await following.take(), following.before)
  t.same(await following.apply(batch), {
    kind: 'needRows',
    requests: [{ table: 'segments', keyColumns: ['id'], keys: [['7']] }],
  })
  t.match(await applyFetching(following, batch), { resolved: 1 })
  t.same(await compareRows(primary, cloud), [])

  await cloud.query('delete from segments where id = 9')
  await primary.query('delete from segments')
  t.match(await following.follow(), { resolved: 1 })
  t.same(await compareRows(primary, cloud), [])
})

t.test('what only their order allows is done in order', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  for (const db of [primary, cloud]) await db.query('create unique index one_each on lexicon (documents)')
  await primary.query('insert into lexicon select n, n from generate_series(1, 50) n')
  await following.follow()
  await primary.query(`do $$ begin
    for n in reverse 50..1 loop update lexicon set documents = n + 1 where term = n; end loop; end $$`)
  t.match(await following.follow(), { resolved: 0, rows: 50 })
  await primary.query(`do $$ begin
    for n in 1..50 loop update lexicon set documents = n where term = n; end loop; end $$`)
  t.match(await following.follow(), { resolved: 0, rows: 50 })
  t.same(await compareRows(primary, cloud), [])
})

t.test('tables of keys alone, and names that SQL uses itself', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  const make = `
    create table "run" ("order" integer, "from" text collate "C", primary key ("order", "from"));
    create table "select" ("t" integer primary key, "run" text, "Values" integer[])`
  for (const db of [primary, cloud]) await db.query(make)
  await primary.query('alter publication homeport add table "run", "select"')
  const tables: PublishedTable[] = [
    ...publishedTables,
    { name: 'run', key: ['order', 'from'], columns: ['order', 'from'] },
    { name: 'select', key: ['t'], columns: ['t', 'run', 'Values'] },
  ]
  await primary.query(`insert into "run" select n, '' from generate_series(1, 20) n`)
  await primary.query(`insert into "select" select n, n::text from generate_series(1, 20) n`)
  await following.follow({ tables })
  const statements = await watchStatements(cloud, '"run"')
  await watchStatements(cloud, '"select"')
  await primary.query(`update "run" set "from" = "from"`)
  await primary.query(`update "select" set "run" = null, "Values" = array[t]`)
  await primary.query(`delete from "run" where "order" > 10`)
  await primary.query(`delete from "select" where t > 10`)
  t.match(await following.follow({ tables }), { resolved: 0, rows: 60 })
  t.same(await statements(), ['UPDATE 20', 'UPDATE 20', 'DELETE 10', 'DELETE 10'])
  for (const [table, key] of [
    ['run', 'order'],
    ['select', 't'],
  ] as const) {
    const read = (db: pg.Pool): Promise<pg.QueryResult> =>
      db.query(`select * from "${table}" order by "${key}"`)
    t.same((await read(cloud)).rows, (await read(primary)).rows, table)
  }
})

t.test('a run finds its rows by their keys, as one row is found', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 3000)
  await following.follow()
  await cloud.query('analyze sources')
  const scans = async (): Promise<unknown> =>
    (await cloud.query(`select seq_scan from pg_stat_user_tables where relname = 'sources'`)).rows
  const before = await scans()
  await primary.query('update sources set views = 1')
  await primary.query('delete from sources')
  await following.follow()
  t.same(await scans(), before, 'and the table is never read as a whole')
})
