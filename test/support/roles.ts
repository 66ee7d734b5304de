import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { isConcurrentUpdate } from '../../replication/run-statement.ts'
import { queryRows, uniqueName } from './databases.ts'

export interface TestRole {
  name: string
  database: string
  url: string
}

/** Drops a role if it is there, with what it was granted on the server as a whole (rights on settings). */
export async function dropRole(superuserUrl: string, role: string): Promise<void> {
  const found = await queryRows(superuserUrl, 'select from pg_roles where rolname = $1', [role])
  if (found.length === 0) return
  // Rights on settings are one row for the whole server: another test may be changing it.
  for (let attempt = 1; ; attempt += 1) {
    try {
      await queryRows(superuserUrl, `drop owned by ${role}`)
      break
    } catch (error) {
      if (attempt === 5 || !isConcurrentUpdate(error)) throw error
      await sleep(50 * attempt)
    }
  }
  await queryRows(superuserUrl, `drop role ${role}`)
}

/** A login role that may only read the public schema of a test database; dropped after the test. */
export async function createRole(t: Test, superuserUrl: string): Promise<TestRole> {
  const name = uniqueName('reader')
  const url = new URL(superuserUrl)
  const database = url.pathname.slice(1)
  for (const statement of [
    `create role ${name} login password 'test'`,
    `revoke all on database ${database} from public`,
    `grant connect on database ${database} to ${name}`,
    `revoke create on schema public from public`,
    `grant usage on schema public to ${name}`,
    `grant select on all tables in schema public to ${name}`,
    ...[
      'lo_creat(int)',
      'lo_create(oid)',
      'lo_from_bytea(oid, bytea)',
      'lo_put(oid, bigint, bytea)',
      'lo_truncate(int, int)',
      'lo_truncate64(int, bigint)',
      'lo_unlink(oid)',
      'lowrite(int, bytea)',
    ].map((signature) => `revoke execute on function pg_catalog.${signature} from public`),
  ]) {
    await queryRows(superuserUrl, statement)
  }
  t.teardown(async () => {
    await queryRows(superuserUrl, `drop owned by ${name}`)
    await queryRows(superuserUrl, `drop role ${name}`)
  })
  url.username = name
  url.password = 'test'
  return { name, database, url: url.href }
}
