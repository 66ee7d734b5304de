import { identifier } from '../core/sql.ts'
import type { Credentials } from './credentials.ts'
import { complaints, type Finding, type Side } from './finding.ts'
import type { RoleState } from './role-facts.ts'
import type { ServerFacts } from './server-facts.ts'

export interface RoleInput {
  side: Side
  setting: string
  credentials: Credentials
  state: RoleState
  server: ServerFacts
}

/** Refuses to turn a role that has other duties into ours: never weakens and never takes over one. */
export function judgeRole(input: RoleInput): Finding[] {
  const { findings, complain } = complaints(input.side)
  const { role, database } = input.credentials
  const facts = input.state.facts
  const another = `give ${input.setting} a role of its own; it is created for you`
  if (database !== input.server.database) {
    complain(
      'DATABASE_DIFFERS',
      `${input.setting} names the database ${database}, the tables are in ${input.server.database}`,
      `correct the database in ${input.setting}`,
    )
  }
  if (/^pg_|^(public|none)$/.test(role) || Buffer.byteLength(role) > 63) {
    complain(
      'ROLE_NAME',
      `${input.setting} names a role that Postgres does not take: ${role.slice(0, 63)}`,
      'at most 63 bytes, not "public" or "none", and not beginning with "pg_"',
    )
    return findings
  }
  if (role === input.server.role) {
    complain('ROLE_CONFLICT', `${input.setting} names ${role}, which owns the tables`, another)
    return findings
  }
  if (facts === null) {
    if (!input.server.superuser && (!input.server.createRole || input.side === 'primary')) {
      const rights = input.side === 'primary' ? 'login replication' : 'login'
      complain(
        'MAY_NOT_CREATE_ROLE',
        `the role ${role} of ${input.setting} does not exist, and ${input.server.role} may not create it`,
        `as an administrator there: create role ${identifier(role).sql} ${rights} password '...'`,
      )
    }
    return findings
  }
  const lacks = [
    ...(facts.login ? [] : ['may not log in']),
    ...(facts.replication || input.side === 'cloud' ? [] : ['may not replicate']),
    ...(input.state.passwordMatches === false ? ['has another password'] : []),
  ]
  if (lacks.length > 0 && !facts.mayAlter) {
    const rights = input.side === 'primary' ? 'login replication' : 'login'
    complain(
      'MAY_NOT_ALTER_ROLE',
      `the role ${role} of ${input.setting} ${lacks.join(' and ')}, and ${input.server.role} may not alter it`,
      `as an administrator there: alter role ${identifier(role).sql} ${rights} password '...'`,
    )
  }
  const powers = [
    ...(facts.superuser ? ['is a superuser'] : []),
    ...(facts.createRole ? ['may create roles'] : []),
    ...(facts.createDatabase ? ['may create databases'] : []),
    ...(facts.bypassRowSecurity ? ['bypasses row security'] : []),
    ...(facts.replication && input.side === 'cloud' ? ['may replicate'] : []),
    ...(facts.owns > 0 ? ['owns tables or databases'] : []),
    ...(facts.memberOf.length > 0 ? [`is a member of ${facts.memberOf.join(', ')}`] : []),
  ]
  if (powers.length > 0) {
    complain('ROLE_TOO_POWERFUL', `the role ${role} of ${input.setting} ${powers.join(' and ')}`, another)
  }
  return findings
}
