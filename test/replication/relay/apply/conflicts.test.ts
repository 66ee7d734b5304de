import t, { type Test } from 'tap'
import type pg from 'pg'
import type { NeedRows } from '../../../../replication/relay/cloud-link.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { applyFetching, createFollowing, insertSources, type Following } from './fixture.ts'

/** 20 sources on both sides; the cloud then loses some behind the relay's back. */
async function createDrifted(t: Test, drift: string): Promise<Following> {
  const following = await createFollowing(t)
  await insertSources(following.primary, 1, 20)
  await following.follow()
  await plant(following.cloud, drift)
  return following
}

async function plant(db: pg.Pool, sql: string): Promise<void> {
  await db.query(`begin; set local session_replication_role = replica; ${sql}; commit`)
}

async function conflicts(cloud: pg.Pool): Promise<string[]> {
  const { rows } = await cloud.query<{ what: string }>(
    `select table_name || ' ' || operation || ' ' || key::text || ' ' || resolution as what from relay_conflicts order by id`,
  )
  return rows.map(({ what }) => what)
}

t.test('an update of a row that the cloud lost brings the row back', async (t) => {
  const following = await createDrifted(t, 'delete from sources where id in (3, 4)')
  const { primary, cloud } = following
  await primary.query(`update sources set title = 'new' where id between 2 and 5`)
  t.match(await following.follow(), { resolved: 2, rows: 4 })
  t.same(await compareRows(primary, cloud), [])
  t.same(await conflicts(cloud), ['sources update {3} inserted', 'sources update {4} inserted'])
})

t.test('one under another key too', async (t) => {
  const following = await createDrifted(t, 'delete from sources where id = 3')
  const { primary, cloud } = following
  await primary.query(`update sources set id = 33 where id = 3`)
  t.match(await following.follow(), { resolved: 1 })
  t.same(await compareRows(primary, cloud), [])
  t.same(await conflicts(cloud), ['sources update {3} inserted'])
})

t.test('a delete of a row that the cloud lost is written down', async (t) => {
  const following = await createDrifted(t, 'delete from sources where id in (3, 4)')
  const { primary, cloud } = following
  await primary.query(`delete from sources where id between 2 and 5`)
  t.match(await following.follow(), { resolved: 2, rows: 4 })
  t.same(await compareRows(primary, cloud), [])
  t.same(await conflicts(cloud), ['sources delete {3} already gone', 'sources delete {4} already gone'])
})

t.test('what comes after in the same batch builds on what was resolved', async (t) => {
  const following = await createDrifted(t, 'delete from sources where id = 3')
  const { primary, cloud } = following
  await primary.query(`update sources set title = 'one' where id = 3`)
  await primary.query(`update sources set title = 'two' where id = 3`)
  await primary.query(`update sources set id = 33 where id = 3`)
  await primary.query(`delete from sources where id = 33`)
  t.match(await following.follow(), { resolved: 1, rows: 4 })
  t.same(await conflicts(cloud), ['sources update {3} inserted'])
  t.same(await compareRows(primary, cloud), [])
})

t.test('values that were not sent are fetched at home', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 1)
  await insertLongSegments(primary, 6)
  await following.follow()
  await plant(cloud, 'delete from segments where id between 1 and 4')
  await primary.query(`update segments set speaker = 'Ann'`)
  // In between, at home, one goes and one is made private: neither may come back.
  await primary.query(`delete from segments where id = 2`)
  await primary.query(
    `begin; set local session_replication_role = replica; update segments set visibility = 'private', text = 'secret' where id = 3; commit`,
  )
  const batch = following.batch(await following.take(), following.before)
  const asked = (await following.apply(batch)) as NeedRows
  t.same(asked, {
    kind: 'needRows',
    requests: [{ table: 'segments', keyColumns: ['id'], keys: [['1'], ['2'], ['3'], ['4']] }],
  })
  t.same(
    (await cloud.query(`select from segments where speaker = 'Ann'`)).rows,
    [],
    'nothing was applied yet',
  )
  t.match(await applyFetching(following, batch), { kind: 'applied', resolved: 6 })
  t.same(await compareRows(primary, cloud), [])
  t.same(await conflicts(cloud), [
    'segments update {1} fetched',
    'segments update {2} gone',
    'segments update {3} gone',
    'segments update {4} fetched',
    'segments delete {2} already gone',
    'segments delete {3} already gone',
  ])
  t.same((await cloud.query(`select from segments where text = 'secret'`)).rows, [])
})

t.test('a row that enters the publication without its long values gets them from home', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await primary.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at, url)
     select 1, 'video', string_agg(md5(n::text), ''), 'private', 'transcript', now(), null from generate_series(1, 500) n`,
  )
  await following.follow()
  await primary.query(`update sources set visibility = 'public'`)
  const batch = following.batch(await following.take(), following.before)
  const asked = (await following.apply(batch)) as NeedRows
  t.same(asked.requests, [{ table: 'sources', keyColumns: ['id'], keys: [['1']] }])
  t.match(await applyFetching(following, batch), { resolved: 0 })
  t.same(await compareRows(primary, cloud), [])
})

t.test('a key that somebody else wrote stops the relay', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await plant(
    cloud,
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at) values (7, 'video', 'foreign secret', 'public', 'transcript', now())`,
  )
  await insertSources(primary, 1, 20)
  const batch = following.batch(await following.take(), following.before)
  const error = await following.apply(batch).then(
    () => undefined,
    (thrown: Error) => thrown,
  )
  t.match(error, {
    code: 'DUPLICATE_KEY',
    message: /^sources \(id 7\) .*sources_pkey/,
    hint: /look at the row/,
  })
  t.notMatch(JSON.stringify([error?.message, error?.stack]), /secret/, 'without a value of the row')
  t.equal((await cloud.query('select from sources')).rowCount, 1, 'nothing was applied')
  await t.rejects(
    following.apply(batch, { quarantine: true }),
    { code: 'DUPLICATE_KEY' },
    'quarantine or not',
  )
  await plant(cloud, 'delete from sources')
  t.match(await following.apply(batch), { isNew: true })

  await plant(
    cloud,
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (9, 'm', 'lsa', 'f', 3, 0, 0, 'active')`,
  )
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (1, 'm', 'lsa', 'f', 3, 0, 0, 'active')`,
  )
  await t.rejects(
    following.follow(),
    { code: 'DUPLICATE_KEY', message: /^models \(id 1\) .*models_one_active/ },
    'another unique key too',
  )
})

/** Segments whose text is stored apart. */
async function insertLongSegments(db: pg.Pool, count: number): Promise<void> {
  await db.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select id, 1, 'public', id, (select string_agg(md5((id * n)::text), '') from generate_series(1, 500) n), '[]', 'test'
     from generate_series(1, $1::integer) id`,
    [count],
  )
}
