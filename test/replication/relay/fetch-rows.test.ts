import t from 'tap'
import { publishedTables } from '../../../core/published-tables.ts'
import { keyTypes } from '../../../replication/relay/apply/key-text.ts'
import { fetchRows } from '../../../replication/relay/fetch-rows.ts'
import { queryRows } from '../../support/databases.ts'
import { createFollowing } from './apply/fixture.ts'

t.test('rows come whole, as text, in the order they were asked for', async (t) => {
  const { primary } = await createFollowing(t)
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (1, 'm', 'lsa', 'f', 3, 0, 0, 'active')`,
  )
  await primary.query(`insert into model_terms values (1, 5, '[1,0.5]'), (1, 6, '[2,3]')`)
  const fetched = await fetchRows(primary, [
    {
      table: 'model_terms',
      keyColumns: ['model_id', 'term'],
      keys: [
        ['1', '6'],
        ['1', '7'],
        ['1', '5'],
      ],
    },
  ])
  const columns = ['model_id', 'term', 'basis']
  t.same(fetched, [
    { table: 'model_terms', key: ['1', '6'], columns, values: ['1', '6', '[2,3]'] },
    { table: 'model_terms', key: ['1', '7'], columns, values: null },
    { table: 'model_terms', key: ['1', '5'], columns, values: ['1', '5', '[1,0.5]'] },
  ])
})

t.test('what stays at home does not come', async (t) => {
  const { primary } = await createFollowing(t)
  await primary.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
     select n, 'video', 'secret', case n when 2 then 'private' else 'public' end, 'transcript', now() from generate_series(1, 3) n`,
  )
  const fetched = await fetchRows(primary, [
    { table: 'sources', keyColumns: ['id'], keys: [['1'], ['2'], ['3']] },
  ])
  t.same(
    fetched.map(({ values }) => values !== null),
    [true, false, true],
  )
  await t.rejects(fetchRows(primary, [{ table: 'ingested_files', keyColumns: ['path'], keys: [] }]), {
    code: 'TABLE_NOT_PUBLISHED',
  })
  await t.rejects(fetchRows(primary, [{ table: 'sources', keyColumns: ['title'], keys: [['secret']] }]), {
    code: 'TABLE_NOT_PUBLISHED',
  })
})

t.test('more keys than one question holds', async (t) => {
  const { primary } = await createFollowing(t)
  await primary.query('insert into lexicon select n, n from generate_series(1, 2500) n')
  const keys = Array.from({ length: 2500 }, (_, n) => [String(n + 1)])
  const fetched = await fetchRows(primary, [{ table: 'lexicon', keyColumns: ['term'], keys }])
  t.same(
    fetched.map(({ values }) => values?.[1]),
    keys.map(([key]) => key),
  )
})

t.test('every published key is of a type whose values can be named', async (t) => {
  const { primaryUrl } = await createFollowing(t)
  for (const { name, key } of publishedTables) {
    const types = await queryRows<{ oid: number }>(
      primaryUrl,
      `select atttypid::int as oid from pg_attribute where attrelid = $1::regclass and attname = any ($2)`,
      [name, key],
    )
    t.ok(
      types.every(({ oid }) => keyTypes.includes(oid)),
      name,
    )
  }
})
