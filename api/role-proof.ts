import type pg from 'pg'
import { HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'

/** A way of writing that a role has, with what it applies to. */
export interface RolePower {
  power: string
  objects: readonly string[]
}

export type RoleVerdict =
  | { state: 'unproven' }
  | { state: 'read-only'; role: string; remarks: readonly string[] }
  | { state: 'writable'; role: string; reasons: readonly string[]; overridden: boolean }

const words: Readonly<Record<string, string>> = {
  superuser: 'it is, or can become, a superuser',
  createdb: 'it may create databases',
  createrole: 'it may create roles',
  replication: 'it may replicate: it could read every row and drop slots',
  bypassrls: 'it passes by row level security',
  membership: 'it is a member of',
  insert: 'it may insert into',
  update: 'it may update',
  delete: 'it may delete from',
  truncate: 'it may truncate',
  sequence: 'it may move the sequences',
  'schema-create': 'it may create objects in the schemas',
  'database-create': 'it may create schemas in the database',
  temporary: 'it may create temporary tables in the database',
  'large-object': 'it may write large objects with',
  'open-large-object': 'it may, as everybody there, write large objects with',
}

/**
 * Judges what `sql/queries/role-powers.sql` found: any power makes a role writable, but for one. Large objects are
 * open to every role by default, and only a superuser can close them, whom managed databases do not lend;
 * they lie apart from every table, so they are a remark.
 */
export function judgeRole(role: string, powers: readonly RolePower[], overridden: boolean): RoleVerdict {
  const reasons = powers.map(({ power, objects }) => {
    const shown = objects.slice(0, 6).join(', ')
    const more = objects.length > 6 ? ` and ${objects.length - 6} more` : ''
    return `${words[power] ?? power}${shown === '' ? '' : ` ${shown}${more}`}`
  })
  return powers.every(({ power }) => power === 'open-large-object')
    ? { state: 'read-only', role, remarks: reasons }
    : { state: 'writable', role, reasons, overridden }
}

export interface RoleProof {
  verdict(): RoleVerdict
  /**
   * Asks the server what this session's role can write. Meant for a pool's `onConnect`: a session that
   * could write is closed before anybody gets it.
   *
   * @throws HomeportError ROLE_CAN_WRITE, exit 2, unless overridden.
   */
  check(client: pg.ClientBase): Promise<void>
}

const proofTimeoutMs = 5_000

export function createRoleProof(options: { allowWritable: boolean }): RoleProof {
  let verdict: RoleVerdict = { state: 'unproven' }
  return {
    verdict: () => verdict,
    async check(client) {
      const query = {
        text: loadSql('queries/role-powers'),
        // Its session is not in use yet, so no other limit holds if the server hangs here.
        query_timeout: proofTimeoutMs,
      }
      const { rows } = await client.query<{ role: string; powers: RolePower[] }>(query)
      verdict = judgeRole(rows[0]?.role ?? 'unknown', rows[0]?.powers ?? [], options.allowWritable)
      if (verdict.state === 'writable' && !verdict.overridden) throw roleCanWrite(verdict)
    },
  }
}

function roleCanWrite(verdict: { role: string; reasons: readonly string[] }): HomeportError {
  return new HomeportError(
    'ROLE_CAN_WRITE',
    `the api reads with role ${verdict.role}, which can write:\n` +
      verdict.reasons.map((reason) => `  - ${reason}`).join('\n'),
    {
      hint:
        'put a read-only role into DATABASE_URL: ops setup-replication creates the one its URL names' +
        ' (ALLOW_WRITABLE_ROLE=true runs with this one, and says so in /health)',
      exitCode: 2,
    },
  )
}
