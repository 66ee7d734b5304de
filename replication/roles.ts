import { fragment, identifier, joinSql, literal, renderSql, type SqlFragment } from '../core/sql.ts'
import { scramVerifier } from '../core/scram.ts'
import type { Side } from './finding.ts'
import type { Grant, PublicRights, RoleState } from './role-facts.ts'
import type { Step } from './step.ts'

export interface RolePlanInput {
  role: string
  password: string
  state: RoleState
  database: string
  /** tables of public that it may read */
  tables: readonly string[]
  /** tables of public that it may also write */
  writableTables?: readonly string[]
  /** settings of the server that it may change; grants of other settings stay when this is absent */
  settableParameters?: readonly string[]
  /** schema of the vector type, when it is not public */
  pgvectorSchema: string | null
}

/** Comfort, not a guard: the role can unset them. Its grants are the guard. */
const readerSettings: readonly (readonly [string, string])[] = [
  ['default_transaction_read_only', 'on'],
  ['statement_timeout', '30s'],
  ['idle_in_transaction_session_timeout', '60s'],
]

/** The statements that make the role of REPLICATION_DATABASE_URL what it should be; none when it is. */
export function planReplicationRole(input: RolePlanInput): Step[] {
  const role = identifier(input.role)
  const steps: Step[] = []
  if (input.state.facts === null) {
    steps.push(withVerifier('primary', 'create the replication role', 'roles/create-replication-role', input))
  } else if (input.state.facts.mayAlter) {
    if (input.state.passwordMatches !== true) {
      steps.push(
        withVerifier(
          'primary',
          'give the replication role the password of its URL',
          'roles/set-password',
          input,
        ),
      )
    }
    if (!input.state.facts.replication || !input.state.facts.login) {
      const sql = renderSql('roles/set-attribute', { role, attribute: fragment('login replication') })
      steps.push({ side: 'primary', what: 'let it log in for replication', sql })
    }
  }
  return [...steps, ...planGrants('primary', input)]
}

/** The statements that make the role of DATABASE_URL what it should be; none when it is. */
export function planReaderRole(input: RolePlanInput): Step[] {
  return planCloudRole({ ...input, name: 'read-only role', connections: 40, settings: readerSettings })
}

export interface CloudRolePlanInput extends RolePlanInput {
  /** what it is called in the plan */
  name: string
  /** sessions it may hold */
  connections: number
  settings: readonly (readonly [name: string, value: string])[]
}

/** The statements that make a login role of the cloud what it should be; none when it is. */
export function planCloudRole(input: CloudRolePlanInput): Step[] {
  const role = identifier(input.role)
  const steps: Step[] = []
  const facts = input.state.facts
  const limit = fragment(String(input.connections))
  if (facts === null) {
    steps.push(withVerifier('cloud', `create the ${input.name}`, 'roles/create-login', input, { limit }))
  } else if (facts.mayAlter) {
    if (input.state.passwordMatches !== true) {
      const what = `give the ${input.name} the password of its URL`
      steps.push(withVerifier('cloud', what, 'roles/set-password', input))
    }
    if (!facts.login || facts.connectionLimit !== input.connections) {
      const attribute = fragment(`login connection limit ${input.connections}`)
      const sql = renderSql('roles/set-attribute', { role, attribute })
      steps.push({ side: 'cloud', what: 'limit its connections', sql })
    }
  }
  const settings = facts?.mayAlter === false ? [] : input.settings
  for (const [setting, value] of settings) {
    if (facts?.settings.includes(`${setting}=${value}`) === true) continue
    const sql = renderSql('roles/set-setting', { role, setting: fragment(setting), value: literal(value) })
    steps.push({ side: 'cloud', what: `set ${setting} for it`, sql })
  }
  return [...steps, ...planSearchPath(input), ...planGrants('cloud', input)]
}

/** Where pgvector is not in public, a new role would not find its operators. */
function planSearchPath(input: RolePlanInput): Step[] {
  const schema = input.pgvectorSchema
  if (schema === null || schema === 'public' || input.state.facts?.mayAlter === false) return []
  if (input.state.facts?.settings.includes(`search_path=public, ${schema}`) === true) return []
  const value = joinSql(['public', schema].map(identifier))
  const sql = renderSql('roles/set-setting', {
    role: identifier(input.role),
    setting: fragment('search_path'),
    value,
  })
  return [{ side: 'cloud', what: `let it find pgvector in ${schema}`, sql }]
}

/** Takes from PUBLIC what would let any role write: temporary tables, new tables, large objects. */
export function planPublicRights(
  rights: PublicRights,
  may: { database: string; ownsDatabase: boolean; superuser: boolean },
): Step[] {
  const revoke = (privilege: string, kind: string, name: SqlFragment, what: string): Step => ({
    side: 'cloud',
    what,
    sql: renderSql('roles/revoke', {
      privilege: fragment(privilege),
      kind: fragment(kind),
      name,
      role: fragment('public'),
    }),
  })
  const steps: Step[] = []
  const database = identifier(may.database)
  if (may.ownsDatabase) {
    if (rights.temporary) {
      steps.push(revoke('temporary', 'database', database, 'no temporary tables for everybody'))
    }
    if (rights.createInDatabase) {
      steps.push(revoke('create', 'database', database, 'no schemas for everybody'))
    }
    if (rights.createInSchema) {
      steps.push(revoke('create', 'schema', identifier('public'), 'no tables for everybody'))
    }
  }
  if (may.superuser) {
    const signatures = joinSql(rights.largeObjectWriters.map(fragment))
    if (rights.largeObjectWriters.length > 0) {
      steps.push(revoke('execute', 'function', signatures, 'no large objects for everybody'))
    }
  }
  return steps
}

/** The privileges a role should have by name, and nothing else. */
export function wantedGrants(input: RolePlanInput): Grant[] {
  const schemas = ['public', ...(input.pgvectorSchema === null ? [] : [input.pgvectorSchema])]
  return [
    { kind: 'database', path: [input.database], privilege: 'CONNECT' },
    ...[...new Set(schemas)].map((name): Grant => ({ kind: 'schema', path: [name], privilege: 'USAGE' })),
    ...input.tables.map((table): Grant => ({ kind: 'table', path: ['public', table], privilege: 'SELECT' })),
    ...(input.writableTables ?? []).flatMap((table) =>
      writing.map((privilege): Grant => ({ kind: 'table', path: ['public', table], privilege })),
    ),
    ...(input.settableParameters ?? []).map((name): Grant => ({
      kind: 'parameter',
      path: [name],
      privilege: 'SET',
    })),
  ]
}

const writing = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const

function planGrants(side: Side, input: RolePlanInput): Step[] {
  const key = (grant: Grant): string => JSON.stringify([grant.kind, grant.path, grant.privilege])
  const wanted = wantedGrants(input)
  const has = new Set(input.state.grants.map(key))
  const wants = new Set(wanted.map(key))
  const missing = wanted.filter((grant) => !has.has(key(grant)))
  // What a role may set is granted for the whole server, and not everybody who may grant the rest may take that back.
  const surplus = input.state.grants.filter(
    (grant) =>
      !wants.has(key(grant)) && (grant.kind !== 'parameter' || input.settableParameters !== undefined),
  )
  return [
    ...planEach('roles/revoke', surplus, (where) => `take back what it does not need: ${where}`),
    ...planEach('roles/grant', missing, (where) => `let it reach ${where}`),
  ]

  function planEach(template: string, grants: readonly Grant[], what: (where: string) => string): Step[] {
    const kinds = new Set(grants.map((grant) => `${grant.privilege} ${grant.kind}`))
    return [...kinds].map((kindOfGrant) => {
      const group = grants.filter((grant) => `${grant.privilege} ${grant.kind}` === kindOfGrant)
      const names = joinSql(group.map((grant) => joinSql(grant.path.map(identifier), '.')))
      const { kind = 'table', privilege = '' } = group[0] ?? {}
      const sql = renderSql(template, {
        privilege: fragment(privilege.toLowerCase()),
        kind: fragment(kind),
        name: names,
        role: identifier(input.role),
      })
      const where = group.length === 1 ? `${kind} ${group[0]?.path.at(-1)}` : `${group.length} ${kind}s`
      return { side, what: what(where), sql }
    })
  }
}

function withVerifier(
  side: Side,
  what: string,
  template: string,
  input: RolePlanInput,
  more: Readonly<Record<string, SqlFragment>> = {},
): Step {
  const role = identifier(input.role)
  const verifier = literal(scramVerifier(input.password))
  return {
    side,
    what,
    sql: renderSql(template, { ...more, role, verifier }),
    shown: renderSql(template, { ...more, role, verifier: literal('SCRAM-SHA-256$****') }),
  }
}
