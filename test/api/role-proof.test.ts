import pg from 'pg'
import t from 'tap'
import { createRoleProof, judgeRole } from '../../api/role-proof.ts'
import { createPool } from '../../core/db.ts'
import { createDatabase, queryRows } from '../support/databases.ts'
import { createRole } from '../support/roles.ts'

void t.test('any power makes a role writable, and is named', async (t) => {
  t.same(judgeRole('reader', [], false), { state: 'read-only', role: 'reader', remarks: [] })
  t.same(
    judgeRole('reader', [{ power: 'open-large-object', objects: ['lo_create'] }], false),
    {
      state: 'read-only',
      role: 'reader',
      remarks: ['it may, as everybody there, write large objects with lo_create'],
    },
    'what a managed database lets nobody revoke is a remark',
  )
  const verdict = judgeRole(
    'owner',
    [
      { power: 'superuser', objects: [] },
      { power: 'insert', objects: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] },
    ],
    true,
  )
  t.same(verdict, {
    state: 'writable',
    role: 'owner',
    reasons: ['it is, or can become, a superuser', 'it may insert into a, b, c, d, e, f and 2 more'],
    overridden: true,
  })
})

void t.test('roles of a real server', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const reader = await createRole(t, url)

  async function powersOf(roleUrl: string): Promise<string[]> {
    const client = new pg.Client({ connectionString: roleUrl })
    await client.connect()
    const proof = createRoleProof({ allowWritable: true })
    await proof.check(client).finally(() => client.end())
    const verdict = proof.verdict()
    return verdict.state === 'writable' ? [...verdict.reasons] : []
  }

  t.same(await powersOf(reader.url), [], 'select alone is no power')
  t.match((await powersOf(url)).join('\n'), /superuser/, 'the superuser of the test cluster')

  const grants: [grant: string, revoke: string, reason: RegExp][] = [
    [
      `grant update on sources to ${reader.name}`,
      `revoke update on sources from ${reader.name}`,
      /update public\.sources/,
    ],
    [
      `grant update (title) on sources to ${reader.name}`,
      `revoke update (title) on sources from ${reader.name}`,
      /update public\.sources/,
    ],
    [
      `grant truncate on heartbeat to ${reader.name}`,
      `revoke truncate on heartbeat from ${reader.name}`,
      /truncate public\.heartbeat/,
    ],
    [
      `grant delete on segments to public`,
      `revoke delete on segments from public`,
      /delete from public\.segments/,
    ],
    [
      `grant usage on sequence change_seq to ${reader.name}`,
      `revoke usage on sequence change_seq from ${reader.name}`,
      /sequences public\.change_seq/,
    ],
    [
      `grant create on schema public to ${reader.name}`,
      `revoke create on schema public from ${reader.name}`,
      /schemas public/,
    ],
    [
      `grant temporary on database ${reader.database} to ${reader.name}`,
      `revoke temporary on database ${reader.database} from ${reader.name}`,
      /temporary tables/,
    ],
    [
      `grant create on database ${reader.database} to ${reader.name}`,
      `revoke create on database ${reader.database} from ${reader.name}`,
      /create schemas/,
    ],
    [
      `grant pg_write_all_data to ${reader.name}`,
      `revoke pg_write_all_data from ${reader.name}`,
      /member of pg_write_all_data/,
    ],
    [
      `grant pg_execute_server_program to ${reader.name}`,
      `revoke pg_execute_server_program from ${reader.name}`,
      /pg_execute_server_program/,
    ],
    [
      `grant execute on function lo_create(oid) to ${reader.name}`,
      `revoke execute on function lo_create(oid) from ${reader.name}`,
      /large objects with lo_create/,
    ],
    [`alter role ${reader.name} createrole`, `alter role ${reader.name} nocreaterole`, /create roles/],
    [`alter role ${reader.name} replication`, `alter role ${reader.name} noreplication`, /replicate/],
    [
      `alter table tombstones owner to ${reader.name}`,
      `alter table tombstones owner to postgres`,
      /insert into public\.tombstones/,
    ],
  ]
  for (const [grant, revoke, reason] of grants) {
    await queryRows(url, grant)
    t.match((await powersOf(reader.url)).join('\n'), reason, grant)
    await queryRows(url, revoke)
  }
  // set role reaches what another role may do, also without inheriting it
  await queryRows(url, `alter role ${reader.name} noinherit`)
  await queryRows(url, `grant pg_write_all_data to ${reader.name}`)
  t.match((await powersOf(reader.url)).join('\n'), /insert into/, 'a membership that is not inherited')
  await queryRows(url, `revoke pg_write_all_data from ${reader.name}`)
  t.same(await powersOf(reader.url), [], 'all powers were taken back')
})

void t.test('a session that could write is handed to nobody', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const reader = await createRole(t, url)
  const proof = createRoleProof({ allowWritable: false })
  const pool = createPool({
    connectionString: reader.url,
    applicationName: 'test',
    onConnect: (client) => proof.check(client),
  })
  t.teardown(() => pool.end())
  await queryRows(url, `grant insert on heartbeat to ${reader.name}`)
  await t.rejects(pool.query('select 1'), {
    code: 'ROLE_CAN_WRITE',
    exitCode: 2,
    message: /insert into public\.heartbeat/,
  })
  t.match(proof.verdict(), { state: 'writable', overridden: false })
  await queryRows(url, `revoke insert on heartbeat from ${reader.name}`)
  await pool.query('select 1')
  t.match(proof.verdict(), { state: 'read-only' }, 'once corrected, it is used without a restart')
})
