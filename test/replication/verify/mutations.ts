import type pg from 'pg'
import { publishedTables } from '../../../core/published-tables.ts'
import { pick, randomNumbers } from '../../support/random.ts'
import { insertTalk, plant } from '../support.ts'
import { choosePlants, content, prepareContent, type Plant } from './plants.ts'

/** More rows that no writer touches: these talks, a table in which one row is one in many, and names. */
const talks = { first: content.talks + 1, last: content.talks + 40 } as const
const many = 20_000
const names = 1_200

/** A key that is elsewhere among the others wherever texts are not sorted by code point. */
function nameOf(number: number): string {
  return `${['a', 'A', 'z', 'Z', 'å', 'Ö', '_', '-b'][number % 8]} ${number}`
}

/** Content with something for every mutation; before the cloud follows, or after. */
export async function prepareMutations(primary: pg.Pool): Promise<void> {
  await prepareContent(primary)
  for (let id = talks.first; id <= talks.last; id += 1) await insertTalk(primary, { id })
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (2, 'many', 'lsa', 'y', 3, 0.8, 0.2, 'building')`,
  )
  await primary.query(`insert into model_terms select 2, i, '[0,2,3]' from generate_series(0, ${many - 1}) i`)
  await primary.query(
    `insert into verifications select name, 'match', 7, '0/0', now() from unnest($1::text[]) as name`,
    [Array.from({ length: names }, (_, number) => nameOf(number))],
  )
}

/** A million rows more, all the same but for their keys. */
export async function prepareMillion(primary: pg.Pool): Promise<void> {
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (4, 'a million', 'lsa', 'm', 3, 0.8, 0.2, 'building')`,
  )
  await primary.query(`insert into model_terms select 4, i, '[0,2,3]' from generate_series(1, 1000000) i`)
}

export const oneInAMillion: Plant = {
  name: 'one bit in a million rows',
  sql: `update model_terms set basis = '[0,2,3.001953125]' where model_id = 4 and term = 654321`,
  table: 'model_terms',
  difference: ['changed', '4', '654321', 'basis'],
}

/** Pure: twenty-seven differences, each in another row that the seed chooses. */
export function chooseMutations(seed: number): Plant[] {
  const random = randomNumbers(seed * 7919)
  const ids = Array.from({ length: talks.last - talks.first + 1 }, (_, place) => talks.first + place)
  const takeId = (): number => ids.splice(pick(random, ids.length), 1)[0] ?? 0
  const [null_, array, one, other, seen, word] = Array.from({ length: 6 }, takeId)
  const counted = nameOf(pick(random, names / 2))
  const unnamed = nameOf(names / 2 + pick(random, names / 2))
  const bit = 1 + pick(random, many / 2 - 1)
  const sign = many / 2 + pick(random, many / 2 - 1)
  const flipped = ['[0,2,3.001953125]', '[0,2.001953125,3]', '[0.000000059604645,2,3]'][pick(random, 3)]
  const changed = (table: string, ...difference: (string | number | undefined)[]) => ({
    table,
    difference: ['changed', ...difference.map(String)],
  })
  return [
    ...choosePlants(seed),
    {
      name: 'a bit of one vector in many',
      sql: `update model_terms set basis = '${flipped}' where model_id = 2 and term = ${bit}`,
      ...changed('model_terms', 2, bit, 'basis'),
    },
    {
      name: 'the sign of a zero',
      sql: `update model_terms set basis = '[-0,2,3]' where model_id = 2 and term = ${sign}`,
      ...changed('model_terms', 2, sign, 'basis'),
    },
    {
      name: 'the last of many is gone',
      sql: `delete from model_terms where model_id = 2 and term = ${many - 1}`,
      table: 'model_terms',
      difference: ['missing', '2', String(many - 1)],
    },
    {
      name: 'a row behind many',
      sql: `insert into model_terms values (2, ${many + seed}, '[0,2,3]')`,
      table: 'model_terms',
      difference: ['extra', '2', String(many + seed)],
    },
    {
      name: 'a count in a table with names for keys',
      sql: `update verifications set row_count = 8 where table_name = '${counted}'`,
      ...changed('verifications', counted, 'row_count'),
    },
    {
      name: 'a name is gone',
      sql: `delete from verifications where table_name = '${unnamed}'`,
      table: 'verifications',
      difference: ['missing', unnamed],
    },
    {
      name: 'an empty text in place of null',
      sql: `update segments set chapter = '' where id = ${null_}`,
      ...changed('segments', null_, 'chapter'),
    },
    {
      name: 'an empty array in place of null',
      sql: `update segments set word_starts_ms = '{}' where id = ${array}`,
      ...changed('segments', array, 'word_starts_ms'),
    },
    {
      name: 'the text of another row',
      sql: `update segments set text = 'words of ' || ${one} + ${other} - id where id in (${one}, ${other})`,
      ...changed('segments', one, 'text'),
    },
    { name: 'and that of the other', sql: 'select 1', ...changed('segments', other, 'text') },
    {
      name: 'a visibility',
      sql: `update segment_terms set visibility = 'unlisted' where segment_id = ${seen}`,
      ...changed('segment_terms', seen, 'visibility'),
    },
    {
      name: 'one of two counts',
      sql: `update segment_terms set counts = '{1,2}' where segment_id = ${word}`,
      ...changed('segment_terms', word, 'counts'),
    },
  ]
}

/** Makes rows of the cloud what they are on the primary, whatever they had become. */
export async function heal(
  pair: { primary: pg.Pool; cloud: pg.Pool },
  plants: readonly Plant[],
): Promise<void> {
  for (const { table: name, difference } of plants) {
    const table = publishedTables.find((one) => one.name === name)
    if (table === undefined) throw new Error(`${name} is not published`)
    const key = table.key.map((column, place) => `${column} = '${difference[place + 1]}'`).join(' and ')
    const { rows } = await pair.primary.query<{ row: string }>(
      `select to_jsonb(t)::text as "row" from ${name} t where ${key}`,
    )
    const insert = rows.map(
      ({ row }) =>
        `insert into ${name} select * from jsonb_populate_record(null::${name}, $row$${row}$row$);`,
    )
    await plant(pair.cloud, `delete from ${name} where ${key}; ${insert.join(' ')} select 1`)
  }
}
