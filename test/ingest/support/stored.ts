import { queryRows } from '../../support/databases.ts'

/** Every table that an ingest writes. */
const tables = [
  'sources',
  'segments',
  'segment_terms',
  'models',
  'model_terms',
  'embeddings',
  'lexicon',
  'collection',
  'tombstones',
  'ingested_files',
]

/** What depends on when and how often something was written, not on what. */
const incidental = ['change_seq', 'processed_at', 'created_at', 'activated_at', 'counted_at', 'ingested_at']

/** All rows of what an ingest leaves, comparable between databases. */
export async function storedContent(url: string): Promise<Record<string, unknown[]>> {
  const content: Record<string, unknown[]> = {}
  for (const table of tables.filter((name) => name !== 'tombstones')) {
    const rows = await queryRows<{ row: unknown }>(
      url,
      `select to_jsonb(t) - $1::text[] as row from ${table} t order by (to_jsonb(t) - $1::text[])::text`,
      [incidental],
    )
    content[table] = rows.map(({ row }) => row)
  }
  return content
}

/**
 * Where every row lies and which transactions wrote and locked it, and how far the sequence is: the same
 * twice only if nothing at all was written between.
 */
export async function rowPlaces(url: string): Promise<Record<string, string>> {
  const places: Record<string, string> = {}
  for (const table of tables) {
    const [row] = await queryRows<{ places: string }>(
      url,
      `select count(*) || ' ' || coalesce(md5(string_agg(ctid::text || xmin || xmax, ' ' order by ctid)), '') as places
       from ${table}`,
    )
    places[table] = row?.places ?? ''
  }
  const [sequence] = await queryRows<{ value: string }>(url, 'select last_value as value from change_seq')
  places['change_seq'] = sequence?.value ?? ''
  return places
}

/** The rows of every segment of a source, by its title. */
export function segmentsOf(
  url: string,
  title: string,
): Promise<{ id: string; text: string; xmin: string }[]> {
  return queryRows(
    url,
    `select s.id, s.text, s.xmin::text from segments s join sources o on o.id = s.source_id
     where o.title = $1 order by s.ordinal`,
    [title],
  )
}
