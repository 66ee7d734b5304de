import type pg from 'pg'
import { publishedTables } from '../../../core/published-tables.ts'

/**
 * Triggers on both sides write down every change of a published row: the primary's with the operation that
 * the row filter makes of it. The cloud's fire for whoever writes, and whatever it switches off. A hash of
 * the whole new row tells the changes of a row apart. Earlier notes are dropped; nobody may be writing.
 */
export async function installOnce(primary: pg.Pool, cloud: pg.Pool): Promise<void> {
  for (const [db, side] of [
    [primary, 'primary'],
    [cloud, 'cloud'],
  ] as const) {
    await db.query(createLog)
    await db.query(createFunction(side))
    for (const { name, key, filter } of publishedTables) {
      const call = `oracle_note('${side === 'primary' && filter !== undefined ? 'filtered' : 'all'}', '${key.join("', '")}')`
      await db.query(
        `create or replace trigger oracle_note after insert or update or delete on ${name} for each row execute function ${call}`,
      )
      await db.query(
        `create or replace trigger oracle_note_truncate after truncate on ${name} execute function ${call}`,
      )
      await db.query(
        `alter table ${name} enable always trigger oracle_note, enable always trigger oracle_note_truncate`,
      )
    }
  }
}

const createLog = `
  create table if not exists oracle_log (
    at bigint generated always as identity, table_name text, key text, operation text, content bigint);
  truncate oracle_log`

const createFunction = (side: 'primary' | 'cloud'): string => `
  create or replace function oracle_note() returns trigger language plpgsql security definer
  set search_path to public set timezone to 'UTC' set extra_float_digits to 1 as $$
  declare
    before jsonb := to_jsonb(old);
    after jsonb := to_jsonb(new);
    operation text := lower(tg_op);
    was boolean := tg_argv[0] = 'all' or before ->> 'visibility' = 'public';
    is_now boolean := tg_argv[0] = 'all' or after ->> 'visibility' = 'public';
    key text;
  begin
    if tg_op = 'INSERT' and not is_now or tg_op = 'DELETE' and not was then return null; end if;
    if tg_op = 'UPDATE' then
      if not was and not is_now then return null; end if;
      if not was then operation := 'insert'; before := null; end if;
      if not is_now then operation := 'delete'; after := null; end if;
    end if;
    select string_agg(coalesce(before, after) ->> name, ',' order by place) into key
    from unnest(tg_argv) with ordinality as a (name, place) where place > 1;
    insert into oracle_log (table_name, key, operation, content)
    values (tg_table_name, coalesce(key, '*'), operation, hashtextextended(after::text, 0));
    return null;
  end $$; -- ${side}`

interface KeyHistory {
  name: string
  changes: string[]
}

/**
 * Every change of the primary took effect in the cloud once and in its order, row by row. What is wrong, in
 * words. The cloud must have caught up.
 */
export async function compareOnce(primary: pg.Pool, cloud: pg.Pool): Promise<string[]> {
  const [ours, theirs] = await Promise.all([readHistories(primary), readHistories(cloud)])
  const wrong: string[] = []
  for (const [name, changes] of ours) {
    const applied = theirs.get(name) ?? []
    if (applied.join() !== changes.join()) {
      wrong.push(`${name}: made ${changes.join(' ')}, took effect ${applied.join(' ')}`)
    }
  }
  for (const [name, applied] of theirs) {
    if (!ours.has(name)) wrong.push(`${name}: nothing was made, took effect ${applied.join(' ')}`)
  }
  return wrong
}

async function readHistories(db: pg.Pool): Promise<Map<string, string[]>> {
  const { rows } = await db.query<KeyHistory>(
    `select table_name || ' ' || key as name,
            array_agg(operation || coalesce(':' || content, '') order by at) as changes
     from oracle_log group by 1`,
  )
  return new Map(rows.map(({ name, changes }) => [name, changes]))
}
