import { fragment, identifier, renderSql } from '../../../core/sql.ts'
import type { Credentials } from '../../credentials.ts'
import { complaints, type Finding } from '../../finding.ts'
import type { RoleState } from '../../role-facts.ts'
import { planCloudRole } from '../../roles.ts'
import type { ServerFacts } from '../../server-facts.ts'
import type { Step } from '../../step.ts'

/** A role that writes into the cloud what the primary sends. */
export interface WriteRole {
  setting: 'RELAY_DATABASE_URL' | 'GATEWAY_DATABASE_URL'
  url: string
  credentials: Credentials
  state: RoleState
}

/** What the relay keeps in the cloud; the migrations make it. */
export const relayTables = [
  'relay_progress',
  'relay_tables',
  'relay_ranges',
  'relay_parts',
  'relay_conflicts',
  'relay_quarantine',
] as const

const names = { RELAY_DATABASE_URL: "relay's role", GATEWAY_DATABASE_URL: "gateway's role" } as const

/** The setting that lets a role write rows as they are, without triggers and foreign keys in between. */
export const replicaSetting = 'session_replication_role'

/** Sessions it may hold: the workers of an initial copy, and a few more. */
const connections = 24

/** The server notices within a minute that the other end is gone, and lets its locks go. */
const settings = [
  ['tcp_keepalives_idle', '30'],
  ['tcp_keepalives_interval', '10'],
  ['tcp_keepalives_count', '3'],
] as const

export interface WriteRolePlanInput {
  role: WriteRole
  cloud: ServerFacts
  /** names of the published tables */
  tables: readonly string[]
  /** whether it gets, or has, the right to set session_replication_role */
  setsReplica: boolean
  /** whether the asking role may give and take rights on settings */
  mayGrantSettings: boolean
}

/**
 * The statements that make a write role what it should be: it reads and writes published tables and the
 * relay's own, and may do nothing else. None when it is.
 */
export function planWriteRole(input: WriteRolePlanInput): Step[] {
  const { role, cloud } = input
  const own = role.setting === 'GATEWAY_DATABASE_URL' ? ['gateway_keys'] : []
  const tables = [...input.tables, ...relayTables, 'repair_journal', ...own]
  return [
    ...planCloudRole({
      role: role.credentials.role,
      password: role.credentials.password,
      database: role.credentials.database,
      state: role.state,
      name: names[role.setting],
      connections,
      settings: [...settings, ...durability(role.state)],
      tables,
      writableTables: tables,
      pgvectorSchema: cloud.pgvectorSchema,
      ...(input.mayGrantSettings ? { settableParameters: input.setsReplica ? [replicaSetting] : [] } : {}),
    }),
    ...planDurability(role, cloud),
  ]
}

/** A commit that is said to be done and is not on disk would be acknowledged, and lost with the server. */
function durability(state: RoleState): (readonly [string, string])[] {
  const value = valueOf(state.facts?.settings ?? [])
  // Stronger ones than "on" are the administrator's choice.
  return value === null || value === 'off' || value === 'on' ? [['synchronous_commit', 'on']] : []
}

function planDurability(role: WriteRole, cloud: ServerFacts): Step[] {
  const facts = role.state.facts
  if (facts?.mayAlter !== true || valueOf(facts.databaseSettings) !== 'off') return []
  const sql = renderSql('roles/reset-database-setting', {
    role: identifier(role.credentials.role),
    database: identifier(cloud.database),
    setting: fragment('synchronous_commit'),
  })
  return [{ side: 'cloud', what: 'have its commits on disk before they count', sql }]
}

function valueOf(list: readonly string[]): string | null {
  const prefix = 'synchronous_commit='
  return list.find((one) => one.startsWith(prefix))?.slice(prefix.length) ?? null
}

/** Says that a write role does not wait for the disk: an error where this setup may not put it right. */
export function judgeDurability(role: WriteRole, cloud: Pick<ServerFacts, 'database'>): Finding[] {
  const { findings, complain } = complaints('cloud')
  const facts = role.state.facts
  if (facts === null) return findings
  const inDatabase = valueOf(facts.databaseSettings) === 'off'
  if (!inDatabase && valueOf(facts.settings) !== 'off') return findings
  const name = identifier(role.credentials.role).sql
  const where = inDatabase ? ` in database ${identifier(cloud.database).sql}` : ''
  complain(
    'SYNCHRONOUS_COMMIT_OFF',
    `synchronous_commit is off for the role ${role.credentials.role} of ${role.setting}: what it has written could be lost after the primary was told it is safe`,
    facts.mayAlter
      ? 'this setup switches it on; find out who switched it off'
      : `as an administrator there: alter role ${name}${where} set synchronous_commit = on`,
    facts.mayAlter ? 'warning' : 'error',
  )
  return findings
}

/** Roles of different duties must be different roles. */
export function judgeSharedRoles(roles: readonly { setting: string; role: string }[]): Finding[] {
  const { findings, complain } = complaints('cloud')
  for (const [place, one] of roles.entries()) {
    const other = roles.slice(0, place).find((before) => before.role === one.role)
    if (other === undefined) continue
    complain(
      'ROLE_SHARED',
      `${one.setting} names the same role as ${other.setting}: ${one.role}`,
      `give ${one.setting} a role of its own; it is created for you`,
    )
  }
  return findings
}
