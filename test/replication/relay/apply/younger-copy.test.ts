import { join } from 'node:path'
import t from 'tap'
import type pg from 'pg'
import { formatLsn } from '../../../../core/lsn.ts'
import { publishedTables } from '../../../../core/published-tables.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { Ledger } from '../../../support/oracles/ledger.ts'
import { prepareWorkload, runWorkload } from '../../../support/workload.ts'
import { applyFetching, createFollowing, insertSources, type Following } from './fixture.ts'

const plain = 'begin; set local session_replication_role = replica;'

/** Half of every table (0 or 1), as the primary publishes it now, becomes the cloud's. */
async function copyHalf({ primary, cloud }: Following, half: number): Promise<string> {
  const { rows: at } = await primary.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  for (const { name, key, filter } of publishedTables) {
    const condition = `abs(hashtext(array[${key.join(',')}]::text)) % 2 = ${half}`
    const { rows } = await primary.query<{ all: string }>(
      `select coalesce(json_agg(t), '[]')::text as all from ${name} t where ${filter ?? 'true'} and ${condition}`,
    )
    const literal = `'${(rows[0]?.all ?? '[]').replaceAll("'", "''")}'`
    await cloud.query(
      `${plain} insert into ${name} select * from json_populate_recordset(null::${name}, ${literal}); commit`,
    )
  }
  return at[0]?.lsn ?? ''
}

async function settle({ cloud, slot }: Following, tables: readonly string[], lsn: string): Promise<void> {
  for (const table of tables) {
    await cloud.query(
      `insert into relay_tables values ($1, $2, $3::pg_lsn)
       on conflict (slot, table_name) do update set settled_lsn = excluded.settled_lsn`,
      [slot, table, lsn],
    )
  }
}

for (const seed of [1, 2]) {
  t.test(`halves copied at two moments, under writes, meet the stream (seed ${seed})`, async (t) => {
    const following = await createFollowing(t)
    const { primary, cloud, primaryUrl } = following
    const ledger = new Ledger(join(temporaryFolder(t), 'ledger'))
    const write = (part: number): Promise<void> =>
      runWorkload({ url: primaryUrl, ledger, seed: seed * 10 + part, operations: 60 })
    await prepareWorkload(primary)
    await write(1)
    await copyHalf(following, 0)
    await write(2)
    const settled = await copyHalf(following, 1)
    await write(3)
    ledger.close()
    const tables = publishedTables.map(({ name }) => name)
    await settle(following, tables, settled)
    const transactions = await following.take({ binary: seed !== 2 })
    let after = following.before
    for (let from = 0; from < transactions.length; from += 37) {
      const batch = following.batch(transactions.slice(from, from + 37), after)
      t.match(await applyFetching(following, batch), { isNew: true })
      after = batch.end
    }
    t.same(await compareRows(primary, cloud), [])
    t.same((await cloud.query('select * from relay_conflicts')).rows, [], 'nothing of it is a conflict')
  })
}

t.test('keys that move between two halves of a copy', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, slot } = following
  await insertSources(primary, 1, 6)
  const copy = async (ids: string): Promise<void> => {
    const { rows } = await primary.query<{ all: string }>(
      `select coalesce(json_agg(t), '[]')::text as all from sources t where id in (${ids})`,
    )
    await cloud.query(
      `${plain} insert into sources select * from json_populate_recordset(null::sources, '${rows[0]?.all}'); commit`,
    )
  }
  await copy('1, 3')
  // In neither half: 2 moves out of the second before it is copied, into 12 after the first was.
  await primary.query(`update sources set id = id + 10 where id in (1, 2, 3)`)
  // In both: 1 was copied as 1 and as 11.
  await copy('11, 4, 5, 6')
  const { rows } = await primary.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  await settle(following, ['sources'], rows[0]?.lsn ?? '')
  t.match(await following.follow(), { resolved: 0 })
  t.same(await compareRows(primary, cloud), [])
  await cloud.query('delete from sources where id = 4')
  await primary.query(`update sources set title = 'later' where id = 4`)
  t.match(await following.follow(), { resolved: 1 }, 'behind the copy a missing row is a conflict again')
  t.equal((await cloud.query('select from relay_progress where slot = $1', [slot])).rowCount, 1)
})

t.test('only the tables of the copy are taken leniently', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await settle(following, ['lexicon'], formatLsn(0xffffffffffffn))
  await cloud.query('insert into lexicon values (1, 9); insert into tombstones values (5, 5)')
  await primary.query('insert into lexicon values (1, 2)')
  t.match(await following.follow(), { isNew: true })
  await primary.query('insert into tombstones values (5, 6)')
  await t.rejects(following.follow(), { code: 'DUPLICATE_KEY' })
})

t.test('a copy that is ahead of a unique key', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  const model = (id: number, state: string): string =>
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (${id}, 'm', 'lsa', 'f', 3, 0, 0, '${state}')`
  await primary.query(model(1, 'building'))
  await primary.query(`update models set state = 'active' where id = 1`)
  await primary.query(model(2, 'building'))
  await primary.query(`update models set state = case id when 1 then 'retired' else state end`)
  await primary.query(`update models set state = 'active' where id = 2`)
  const { rows } = await primary.query<{ all: string; lsn: string }>(
    `select json_agg(t)::text as all, pg_current_wal_insert_lsn()::text as lsn from models t`,
  )
  await copyModels(cloud, rows[0]?.all ?? '')
  await settle(following, ['models'], rows[0]?.lsn ?? '')
  // On the way one model after the other is active in the stream, and the second in the copy all the time.
  t.match(await following.follow(), { isNew: true })
  t.same(await compareRows(primary, cloud), [])
})

t.test('what all of a copy has already is left out, and nothing goes back in time', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  const model = (id: number, state: string): string =>
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state) values (${id}, 'm', 'lsa', 'f', 3, 0, 0, '${state}')`
  await primary.query(model(1, 'building'))
  await primary.query(`update models set name = 'older' where id = 1`)
  await primary.query(`truncate models cascade`)
  await primary.query(model(1, 'active'))
  const { rows } = await primary.query<{ all: string; lsn: string }>(
    `select json_agg(t)::text as all, pg_current_wal_insert_lsn()::text as lsn from models t`,
  )
  await copyModels(cloud, rows[0]?.all ?? '')
  await settle(following, ['models'], rows[0]?.lsn ?? '')
  await cloud.query('update relay_tables set copied_lsn = settled_lsn')
  await cloud.query(`create table written (operation text);
    create function note() returns trigger language plpgsql as
      $$ begin insert into written values (tg_op); return null; end $$;
    create trigger note after insert or update or delete on models for each row execute function note();
    alter table models enable always trigger note;`)
  t.match(await following.follow(), { isNew: true })
  t.same((await cloud.query('select operation from written')).rows, [], 'not one row was written again')
  await primary.query(`update models set name = 'newer' where id = 1`)
  t.match(await following.follow(), { isNew: true, rows: 1 })
  t.same(await compareRows(primary, cloud), [])
})

async function copyModels(cloud: pg.Pool, json: string): Promise<void> {
  await cloud.query(
    `${plain} insert into models select * from json_populate_recordset(null::models, '${json}'); commit`,
  )
}
