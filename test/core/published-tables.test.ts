import t from 'tap'
import { publishedTables } from '../../core/published-tables.ts'
import { createDatabase, queryRows } from '../support/databases.ts'

/** What stays where it is: at home, or in the cloud. */
const unpublished = [
  'homeport_migrations',
  'homeport_migrations_lock',
  'ingested_files',
  'ingest_pause',
  'relay_progress',
  'relay_tables',
  'relay_ranges',
  'relay_parts',
  'relay_conflicts',
  'relay_quarantine',
  'gateway_keys',
  'repair_journal',
]

t.test('the published list is the migrated schema', async (t) => {
  const url = await createDatabase(t, 'primary')
  const tables = await queryRows<{ name: string; columns: string[]; key: string[]; vectors: string[] }>(
    url,
    `select c.relname::text as name,
       array_agg(a.attname::text order by a.attnum) as columns,
       (select array_agg(k.attname::text order by p.position) from pg_index i
        cross join lateral unnest(i.indkey) with ordinality as p (attnum, position)
        join pg_attribute k on k.attrelid = c.oid and k.attnum = p.attnum
        where i.indrelid = c.oid and i.indisprimary) as key,
       coalesce(array_agg(a.attname::text order by a.attnum) filter (where a.atttypid = 'halfvec'::regtype), '{}') as vectors
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
     group by c.oid order by 1`,
  )
  const published = tables.filter((table) => !unpublished.includes(table.name))
  const listed = publishedTables.map(({ name, columns, key, vectors }) => ({
    name,
    columns,
    key,
    vectors: vectors ?? [],
  }))
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)
  t.strictSame(
    published,
    listed.sort(byName),
    'a new table is either published or named here as one that stays',
  )
})

t.test('a table comes after those it refers to', async (t) => {
  const url = await createDatabase(t, 'primary')
  const references = await queryRows<{ from: string; to: string }>(
    url,
    `select conrelid::regclass::text as from, confrelid::regclass::text as to from pg_constraint where contype = 'f'`,
  )
  const place = (name: string): number => publishedTables.findIndex((table) => table.name === name)
  t.ok(references.length > 3)
  const travelling = references.filter(({ from }) => !unpublished.includes(from))
  for (const { from, to } of travelling) t.ok(place(from) > place(to), `${from} after ${to}`)
})
