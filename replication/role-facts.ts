import { connect, type Queryable } from '../core/db.ts'
import { errorCode, HomeportError } from '../core/errors.ts'
import { scramMatches } from '../core/scram.ts'
import { loadSql } from '../core/sql.ts'

export interface RoleFacts {
  superuser: boolean
  replication: boolean
  createRole: boolean
  createDatabase: boolean
  bypassRowSecurity: boolean
  login: boolean
  /** whether the asking role may alter it */
  mayAlter: boolean
  connectionLimit: number
  /** name=value */
  settings: readonly string[]
  /** the same, set for this role in this database only; they outrank the former */
  databaseSettings: readonly string[]
  memberOf: readonly string[]
  /** how many objects of any database it owns */
  owns: number
}

/** A privilege that was granted by name in one database, or on a setting of the whole server. */
export interface Grant {
  kind: 'table' | 'sequence' | 'schema' | 'database' | 'parameter'
  /** unquoted; a table or sequence with its schema before it */
  path: readonly string[]
  privilege: string
}

export interface RoleState {
  /** null when there is no such role */
  facts: RoleFacts | null
  grants: readonly Grant[]
  /** null when nobody could tell */
  passwordMatches: boolean | null
}

/** What a server knows about a role; `url` is what that role will log in with. */
export async function readRoleState(
  db: Queryable,
  role: { role: string; password: string; url: string },
): Promise<RoleState> {
  const { rows } = await db.query<RoleFacts>(loadSql('checks/role'), [role.role])
  const facts = rows[0]
  if (facts === undefined) return { facts: null, grants: [], passwordMatches: null }
  const grants = await db.query<Grant>(loadSql('checks/role-grants'), [role.role])
  return { facts, grants: grants.rows, passwordMatches: await passwordMatches(db, role) }
}

async function passwordMatches(
  db: Queryable,
  role: { role: string; password: string; url: string },
): Promise<boolean | null> {
  try {
    const { rows } = await db.query<{ verifier: string | null }>(loadSql('checks/role-password'), [role.role])
    return scramMatches(rows[0]?.verifier ?? '', role.password)
  } catch (error) {
    if (errorCode(error) !== '42501') throw error
  }
  // Only a superuser reads verifiers; everybody may try the door.
  try {
    const client = await connect({ connectionString: role.url, applicationName: 'homeport ops' })
    await client.end()
    return true
  } catch (error) {
    const cause = error instanceof HomeportError ? error.cause : error
    return errorCode(cause) === '28P01' ? false : null
  }
}

export interface PublicRights {
  temporary: boolean
  createInDatabase: boolean
  createInSchema: boolean
  /** signatures of functions that write large objects and that PUBLIC may call */
  largeObjectWriters: readonly string[]
}

export interface ReplicaRight {
  /** whether the asking role may give it to others */
  mayGrant: boolean
  /** those of the roles asked about that have it */
  holders: readonly string[]
}

/** Which of these roles may set session_replication_role, and whether the asking role may let them. */
export async function readReplicaRight(db: Queryable, roles: readonly string[]): Promise<ReplicaRight> {
  const { rows } = await db.query<ReplicaRight>(loadSql('checks/replica-right'), [roles])
  const right = rows[0]
  if (right === undefined) throw new HomeportError('CATALOGUE', 'the catalogue gave no answer about settings')
  return right
}

/** What every role of this database may do that a reader has no use for. */
export async function readPublicRights(db: Queryable): Promise<PublicRights> {
  const { rows } = await db.query<PublicRights>(loadSql('checks/public-rights'))
  const rights = rows[0]
  if (rights === undefined) throw new HomeportError('CATALOGUE', 'the catalogue gave no answer about PUBLIC')
  return rights
}
