import t, { type Test } from 'tap'
import pg from 'pg'
import { publishedTables } from '../../../../core/published-tables.ts'
import { applyBatch } from '../../../../replication/relay/apply/apply-batch.ts'
import type { Batch } from '../../../../replication/relay/batch.ts'
import type { Applied } from '../../../../replication/relay/cloud-link.ts'
import { describeCloud } from '../../../../replication/relay/lease.ts'
import { createPool } from '../../../../core/db.ts'
import { queryRows, uniqueName } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { createFollowing, insertSources, type Following } from './fixture.ts'

/** A role that may write the published tables and the relay's own, and nothing else. */
async function createApplyRole(t: Test, cloudUrl: string): Promise<{ name: string; url: string }> {
  const name = uniqueName('applier')
  const tables = publishedTables.map((table) => table.name).join(', ')
  await queryRows(
    cloudUrl,
    `create role ${name} login password 'test';
     revoke temporary on database ${new URL(cloudUrl).pathname.slice(1)} from public;
     grant select, insert, update, delete, truncate on ${tables}, relay_progress, relay_tables, relay_conflicts, relay_quarantine to ${name}`,
  )
  t.teardown(async () => {
    await queryRows(cloudUrl, `drop owned by ${name}`)
    await queryRows(cloudUrl, `drop role ${name}`)
  })
  const url = new URL(cloudUrl)
  url.username = name
  url.password = 'test'
  return { name, url: url.href }
}

async function applyAs(url: string, following: Following, batch: Batch): Promise<Applied> {
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  try {
    return (await applyBatch(session, batch, { lease: following.lease, quarantine: false })) as Applied
  } finally {
    await session.end()
  }
}

const rolesOfTriggers = `
  create table seen (role text, acting text);
  grant all on seen to public;
  create function see() returns trigger language plpgsql as $$
  begin
    insert into seen values (current_setting('session_replication_role'), current_setting('synchronous_commit'));
    return null;
  end $$;
  create trigger see after insert on lexicon execute function see();
  alter table lexicon enable always trigger see`

for (const mayReplicate of [true, false]) {
  t.test(
    `a plain role applies ${mayReplicate ? 'with' : 'without'} the right to switch triggers off`,
    async (t) => {
      const following = await createFollowing(t)
      const { primary, cloud, cloudUrl } = following
      const role = await createApplyRole(t, cloudUrl)
      if (mayReplicate)
        await queryRows(cloudUrl, `grant set on parameter session_replication_role to ${role.name}`)
      else {
        // What the setup does where nobody may grant it.
        for (const [table, key] of [
          ['segments', 'segments_source_id_visibility_fkey'],
          ['segment_terms', 'segment_terms_segment_id_visibility_fkey'],
        ]) {
          await queryRows(cloudUrl, `alter table ${table} drop constraint ${key}`)
        }
      }
      await queryRows(cloudUrl, rolesOfTriggers)
      await queryRows(cloudUrl, `alter role ${role.name} set synchronous_commit = off`)
      await insertSources(primary, 1, 500)
      await primary.query(
        `insert into segments (id, source_id, visibility, ordinal, text, turns, engine) select n, n, 'public', 0, 'x', '[]', 'test' from generate_series(1, 300) n`,
      )
      await primary.query('insert into lexicon values (1, 1)')
      await primary.query(`update segments set speaker = 'Ann' where id < 50`)
      await primary.query(`delete from sources where id < 20`)
      await primary.query(`truncate collection, tombstones`)
      const applied = await applyAs(
        role.url,
        following,
        following.batch(await following.take(), following.before),
      )
      t.match(applied, { resolved: 0 })
      t.same(await compareRows(primary, cloud), [], 'change numbers among them')
      t.same(await queryRows(cloudUrl, 'select * from seen'), [
        { role: mayReplicate ? 'replica' : 'origin', acting: 'on' },
      ])
      const pool = createPool({ connectionString: role.url, applicationName: 'homeport test' })
      t.teardown(() => pool.end())
      t.match(await describeCloud(pool, following.slot), {
        synchronousCommit: 'off',
        isReadOnly: false,
        hasSession: true,
        progress: { slot: following.slot },
      })
    },
  )
}

t.test('a right that is missing is named', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloudUrl } = following
  const role = await createApplyRole(t, cloudUrl)
  await queryRows(cloudUrl, `revoke insert on lexicon from ${role.name}`)
  await primary.query('insert into lexicon select n, n from generate_series(1, 20) n')
  const batch = following.batch(await following.take(), following.before)
  const forbidden = {
    code: 'CLOUD_FORBIDS',
    message: /permission denied for table lexicon/,
    hint: /ops setup-replication/,
  }
  await t.rejects(applyAs(role.url, following, batch), forbidden)
  await queryRows(
    cloudUrl,
    `grant insert on lexicon to ${role.name}; revoke all on relay_progress from ${role.name}`,
  )
  await t.rejects(applyAs(role.url, following, batch), {
    ...forbidden,
    message: /permission denied for table relay_progress/,
  })
})

t.test('a policy that hides rows is an error, not rows that are missing', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloudUrl } = following
  const role = await createApplyRole(t, cloudUrl)
  await queryRows(cloudUrl, 'alter table lexicon enable row level security')
  await primary.query('insert into lexicon values (1, 1)')
  await primary.query('delete from lexicon')
  const batch = following.batch(await following.take(), following.before)
  await t.rejects(applyAs(role.url, following, batch), {
    code: 'CLOUD_FORBIDS',
    message: /row-level security/,
  })
})

t.test('settings of the role do not reach the transaction', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl } = following
  const role = await createApplyRole(t, cloudUrl)
  for (const setting of [
    `default_transaction_isolation = serializable`,
    `default_transaction_read_only = on`,
    `client_encoding = 'LATIN1'`,
    `datestyle = 'SQL, DMY'`,
    `search_path = pg_catalog`,
    `statement_timeout = '5s'`,
    `bytea_output = escape`,
    `standard_conforming_strings = off`,
    `timezone = 'Asia/Kolkata'`,
  ]) {
    await queryRows(cloudUrl, `alter role ${role.name} set ${setting}`)
  }
  await insertSources(primary, 1, 30)
  await primary.query(
    `update sources set title = 'Tälk 😀 \\ ''', published_at = '2024-02-03 04:05:06.789012+02'`,
  )
  const batch = following.batch(await following.take({ binary: false }), following.before)
  await applyAs(role.url, following, batch)
  t.same(await compareRows(primary, cloud), [])
})
