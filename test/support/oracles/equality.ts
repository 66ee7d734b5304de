import type pg from 'pg'
import { publishedTables, type PublishedTable } from '../../../core/published-tables.ts'
import { until } from '../api.ts'

/** Commits a row at home and waits until the cloud has it: everything before it is there too. */
export async function passFence(primary: pg.Pool, cloud: pg.Pool, limitMs = 60_000): Promise<void> {
  const { rows } = await primary.query<{ fence: string }>(
    `insert into verifications values ('fence ' || gen_random_uuid(), 'match', 0, '0/0', now())
     returning table_name as fence`,
  )
  const fence = rows[0]?.fence
  await until(
    async () => (await cloud.query('select from verifications where table_name = $1', [fence])).rowCount ?? 0,
    (count) => count === 1,
    limitMs,
  )
}

/**
 * Compares every published row by key, with a hash made apart from the product's own. What is wrong, in
 * words; nothing when both sides are equal. Nobody may be writing.
 */
export async function compareRows(primary: pg.Pool, cloud: pg.Pool): Promise<string[]> {
  const wrong: string[] = []
  for (const table of publishedTables) {
    const [ours, theirs] = await Promise.all([
      readRows(primary, table, table.filter ?? 'true'),
      readRows(cloud, table, 'true'),
    ])
    for (const [key, hash] of ours) {
      const other = theirs.get(key)
      if (other === undefined) wrong.push(`${table.name} ${key} is missing in the cloud`)
      else if (other !== hash) wrong.push(`${table.name} ${key} differs`)
    }
    for (const key of theirs.keys()) {
      if (!ours.has(key)) wrong.push(`${table.name} ${key} is only in the cloud`)
    }
  }
  return wrong
}

async function readRows(db: pg.Pool, table: PublishedTable, condition: string): Promise<Map<string, string>> {
  const session = await db.connect()
  try {
    await session.query(`set timezone = 'UTC'`)
    const { rows } = await session.query<{ key: string; hash: string }>(
      `select jsonb_build_array(${table.key.join(', ')})::text as key,
              md5(jsonb_build_array(${table.columns.join(', ')})::text) as hash
       from ${table.name} where ${condition} order by ${table.key.join(', ')}`,
    )
    return new Map(rows.map(({ key, hash }) => [key, hash]))
  } finally {
    session.release()
  }
}
