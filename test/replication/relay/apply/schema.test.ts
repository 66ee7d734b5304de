import t from 'tap'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { createFollowing, endLsn, insertSources } from './fixture.ts'

const cases: readonly {
  name: string
  home?: string
  cloud?: string
  says: RegExp
  hint?: RegExp
  row?: string
}[] = [
  {
    name: 'a column that only the primary has',
    home: `alter table lexicon add column note text default 'x'`,
    says: /the cloud's lexicon has no column note \(text on the primary\): alter table lexicon add column note text$/m,
  },
  {
    name: 'a column that was renamed in the cloud',
    cloud: 'alter table lexicon rename column documents to papers',
    says: /has no column documents \(integer on the primary\): alter table lexicon add column documents integer\n.*lexicon\.papers \(integer\) exists in the cloud only, and needs a value: alter .* papers drop not null/,
  },
  {
    name: 'a column of another type',
    cloud: 'alter table lexicon alter column documents type bigint',
    says: /lexicon\.documents is integer on the primary and bigint in the cloud: alter table lexicon alter column documents type integer/,
  },
  {
    name: 'a column of another type whose bytes would fit',
    cloud: 'alter table heartbeat alter column beat type double precision',
    row: `insert into heartbeat values (1, 7, now(), '0/1')`,
    says: /heartbeat\.beat is bigint on the primary and double precision in the cloud/,
  },
  {
    name: 'a type of an extension',
    cloud: 'alter table model_terms alter column basis type real[] using null',
    row: `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (1, 'm', 'lsa', 'f', 3, 0, 0, 'active'); insert into model_terms values (1, 1, '[1,2]')`,
    says: /model_terms\.basis is halfvec on the primary and real\[\] in the cloud/,
  },
  {
    name: 'a modifier that would round',
    home: 'alter table lexicon add column share numeric(9, 4) default 1.2345',
    cloud: 'alter table lexicon add column share numeric(9, 1)',
    says: /lexicon\.share is numeric\(9,4\) on the primary and numeric\(9,1\) in the cloud/,
  },
  {
    name: 'a column that the cloud makes itself',
    cloud:
      'alter table lexicon drop column documents; alter table lexicon add column documents integer generated always as (term + 1) stored',
    says: /lexicon\.documents is sent by the primary, and generated in the cloud/,
  },
  {
    name: 'a column of the cloud that needs a value',
    cloud: 'alter table lexicon add column owner text not null',
    says: /lexicon\.owner \(text\) exists in the cloud only, and needs a value/,
  },
  {
    name: 'a table that the cloud lacks',
    cloud: 'drop table lexicon',
    says: /the cloud has no table lexicon/,
  },
  {
    name: 'a key that the cloud lacks',
    cloud: 'alter table lexicon drop constraint lexicon_pkey',
    says: /the cloud's lexicon has no unique key of term/,
  },
  {
    name: 'a key that the primary lost',
    home: `alter table lexicon drop constraint lexicon_pkey; alter table lexicon add primary key (documents); insert into lexicon values (5, 5)`,
    row: 'update lexicon set documents = 6 where term = 5',
    says: /lexicon on the primary has a replica identity without term/,
    hint: /how the key comes back on the primary; then ops reseed/,
  },
  {
    name: 'a key column that was renamed at home',
    home: 'alter table lexicon rename column term to word',
    says: /lexicon on the primary has no primary key of term/,
    hint: /how the key comes back on the primary; then ops reseed/,
  },
]

for (const { name, home, cloud: inCloud, says, row, hint = /ops migrate/ } of cases) {
  t.test(`${name} stops the relay, and nothing is written`, async (t) => {
    const following = await createFollowing(t)
    const { primary, cloud, primaryUrl, cloudUrl } = following
    if (home !== undefined) await queryRows(primaryUrl, home)
    if (inCloud !== undefined) await queryRows(cloudUrl, inCloud)
    await insertSources(primary, 1, 3)
    await primary.query(row ?? 'insert into lexicon values (1, 2)')
    await t.rejects(following.follow(), { code: 'SCHEMA_MISMATCH', message: says, hint })
    t.equal(await endLsn(cloud, following.slot), following.before)
    t.equal((await cloud.query('select from sources')).rowCount, 0)
  })
}

t.test('a cloud that has more, or takes more, is no obstacle', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl } = following
  await queryRows(
    cloudUrl,
    `alter table lexicon add column note text; alter table lexicon add column seen timestamptz not null default now();
     create domain amount as integer check (value > 0); alter table lexicon alter column documents type amount`,
  )
  await primary.query('insert into lexicon select n, n from generate_series(1, 50) n')
  await following.follow()
  await primary.query('update lexicon set documents = documents + 1')
  await following.follow()
  t.same(await compareRows(primary, cloud), [])
})

t.test('pgvector may lie in another schema', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl } = following
  await queryRows(cloudUrl, 'create schema extensions; alter extension vector set schema extensions')
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (1, 'm', 'lsa', 'f', 3, 0, 0, 'active')`,
  )
  await primary.query(`insert into model_terms select 1, n, '[1,2]' from generate_series(1, 20) n`)
  await following.follow()
  await primary.query(`update model_terms set basis = '[1,3]' where term < 5`)
  await following.follow()
  t.same(await compareRows(primary, cloud), [])
})

t.test(
  'a table may change between two transactions of one batch, where the cloud changed first',
  async (t) => {
    const following = await createFollowing(t)
    const { primary, cloud, primaryUrl, cloudUrl } = following
    await primary.query('insert into lexicon select n, n from generate_series(1, 20) n')
    await queryRows(cloudUrl, 'alter table lexicon add column note text')
    await queryRows(primaryUrl, 'alter table lexicon add column note text')
    await primary.query(`insert into lexicon select n, n, 'b' from generate_series(21, 40) n`)
    await queryRows(primaryUrl, 'alter table lexicon drop column note')
    await primary.query('insert into lexicon select n, n from generate_series(41, 60) n')
    await following.follow()
    t.same(await compareRows(primary, cloud), [])
    t.equal((await cloud.query(`select from lexicon where note = 'b'`)).rowCount, 20)
  },
)
