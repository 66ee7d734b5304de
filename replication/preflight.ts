import type { PublishedTable } from '../core/published-tables.ts'
import { identifier } from '../core/sql.ts'
import type { Credentials } from './credentials.ts'
import type { Finding, Side } from './finding.ts'
import type { RoleState } from './role-facts.ts'
import { majorVersion, type ServerFacts } from './server-facts.ts'
import type { TableFacts } from './table-facts.ts'

type Complain = (code: string, message: string, fix: string, severity?: Finding['severity']) => void

function complaints(side: Side): { findings: Finding[]; complain: Complain } {
  const findings: Finding[] = []
  const complain: Complain = (code, message, fix, severity = 'error') => {
    findings.push({ code, side, severity, message, fix })
  }
  return { findings, complain }
}

export interface SettingsInput {
  primary: ServerFacts
  cloud: ServerFacts
  /** whether the slot and the subscription are there already, and so counted as used */
  subscribed: boolean
}

/** What the settings and the rights of the primary lack. Workers for the initial copy need slots of their own. */
export function judgePrimarySettings(input: SettingsInput): Finding[] {
  const { findings, complain } = complaints('primary')
  const facts = input.primary
  const needed = 1 + input.cloud.syncWorkers
  if (facts.walLevel !== 'logical') {
    complain(
      'WAL_LEVEL',
      `wal_level is ${facts.walLevel}`,
      "alter system set wal_level = 'logical', then restart it (managed: the parameter group, e.g. rds.logical_replication = 1)",
    )
  }
  if (!input.subscribed && facts.maxSlots - facts.usedSlots < needed) {
    complain(
      'TOO_FEW_SLOTS',
      `max_replication_slots is ${facts.maxSlots} and ${facts.usedSlots} are used; ${needed} must be free`,
      `alter system set max_replication_slots = ${facts.usedSlots + needed}, then restart it`,
    )
  }
  if (!input.subscribed && facts.maxWalSenders - facts.usedWalSenders < needed) {
    complain(
      'TOO_FEW_WAL_SENDERS',
      `max_wal_senders is ${facts.maxWalSenders} and ${facts.usedWalSenders} are used; ${needed} must be free`,
      `alter system set max_wal_senders = ${facts.usedWalSenders + needed}, then restart it`,
    )
  }
  if (!facts.superuser && !facts.replication) {
    complain(
      'PRIMARY_NO_REPLICATION',
      `the role ${facts.role} may not make a replication slot`,
      `as a superuser there: alter role ${facts.role} replication`,
    )
  }
  if (!facts.superuser && !facts.mayCreateInDatabase) {
    complain(
      'PRIMARY_NO_CREATE',
      `the role ${facts.role} may not make a publication in this database`,
      `as its owner: grant create on database ${facts.database} to ${facts.role}`,
    )
  }
  if (facts.slotWalKeepSize === '-1') {
    complain(
      'WAL_KEPT_FOR_EVER',
      'max_slot_wal_keep_size is not set: while the cloud is away, the log grows until the disk is full',
      "alter system set max_slot_wal_keep_size = '20GB'  (about half of the free disk), then: select pg_reload_conf()",
      'warning',
    )
  }
  return findings
}

/** What the settings and the rights of the cloud lack for a native subscription. */
export function judgeCloudSettings(input: SettingsInput): Finding[] {
  const { findings, complain } = complaints('cloud')
  const facts = input.cloud
  const needed = 1 + facts.syncWorkers
  if (!input.subscribed && facts.maxLogicalWorkers - facts.usedLogicalWorkers < needed) {
    complain(
      'TOO_FEW_LOGICAL_WORKERS',
      `max_logical_replication_workers is ${facts.maxLogicalWorkers} and ${facts.usedLogicalWorkers} are used; ${needed} must be free`,
      `alter system set max_logical_replication_workers = ${facts.usedLogicalWorkers + needed}, then restart it`,
    )
  }
  if (facts.maxWorkerProcesses <= facts.maxLogicalWorkers) {
    complain(
      'TOO_FEW_WORKER_PROCESSES',
      `max_worker_processes is ${facts.maxWorkerProcesses}, too few for ${facts.maxLogicalWorkers} replication workers`,
      `alter system set max_worker_processes = ${facts.maxLogicalWorkers + 4}, then restart it`,
    )
  }
  if (!input.subscribed && facts.maxOrigins - facts.usedOrigins < needed) {
    const setting = majorVersion(facts) >= 18 ? 'max_active_replication_origins' : 'max_replication_slots'
    complain(
      'TOO_FEW_ORIGINS',
      `${setting} is ${facts.maxOrigins} and ${facts.usedOrigins} are used; ${needed} must be free`,
      `alter system set ${setting} = ${facts.usedOrigins + needed}, then restart it`,
    )
  }
  if (!facts.superuser && majorVersion(facts) < 16) {
    complain(
      'CLOUD_NEEDS_SUPERUSER',
      `on Postgres ${majorVersion(facts)} only a superuser may subscribe, and ${facts.role} is none`,
      'use a superuser in PRODUCTION_DATABASE_URL, or Postgres 16 or newer, where pg_create_subscription is enough',
    )
  } else if (!facts.superuser && !facts.mayCreateSubscription) {
    complain(
      'CLOUD_NO_SUBSCRIPTION_RIGHT',
      `the role ${facts.role} may not subscribe`,
      `as an administrator there: grant pg_create_subscription to ${facts.role}`,
    )
  }
  if (!facts.superuser && !facts.mayCreateInDatabase) {
    complain(
      'CLOUD_NO_CREATE',
      `the role ${facts.role} may not make a subscription in this database`,
      `as its owner: grant create on database ${facts.database} to ${facts.role}`,
    )
  }
  if (input.primary.pgvector !== facts.pgvector) {
    complain(
      'PGVECTOR_DIFFERS',
      `pgvector is ${facts.pgvector ?? 'absent'} here and ${input.primary.pgvector ?? 'absent'} on the primary; vectors travel as text, 2.6 times larger`,
      'bring both to the same version',
      'warning',
    )
  }
  return findings
}

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

export interface SchemaInput {
  tables: readonly PublishedTable[]
  primary: ReadonlyMap<string, TableFacts>
  cloud: ReadonlyMap<string, TableFacts>
}

/** Differences between the published list and the two schemas that would stop or bend replication. */
export function judgeSchema(input: SchemaInput): Finding[] {
  const bare = [...judgeBare('primary', input.primary), ...judgeBare('cloud', input.cloud)]
  if (bare.length > 0) return bare
  return input.tables.flatMap((table) => [
    ...judgeTable('primary', table, input.primary.get(table.name)),
    ...judgeTable('cloud', table, input.cloud.get(table.name)),
    ...judgeTypes(table, input.primary.get(table.name), input.cloud.get(table.name)),
  ])
}

function judgeBare(side: Side, found: ReadonlyMap<string, TableFacts>): Finding[] {
  const { findings, complain } = complaints(side)
  if (found.size === 0) complain('NOT_MIGRATED', 'this database has none of the tables', 'ops migrate')
  return findings
}

function judgeTable(side: Side, table: PublishedTable, facts: TableFacts | undefined): Finding[] {
  const { findings, complain } = complaints(side)
  if (facts === undefined) {
    complain('TABLE_MISSING', `there is no table ${table.name}`, 'ops migrate')
    return findings
  }
  const has = new Set(facts.columns.map((column) => column.column))
  const missing = table.columns.filter((column) => !has.has(column))
  if (missing.length > 0) {
    complain('COLUMN_MISSING', `${table.name} lacks ${missing.join(', ')}`, 'ops migrate')
  }
  const unknown = [...has].filter((column) => !table.columns.includes(column))
  const required = facts.columns.some((column) => column.required && unknown.includes(column.column))
  const stops = side === 'primary' || required
  if (unknown.length > 0) {
    complain(
      'COLUMN_UNKNOWN',
      `${table.name} has columns that Homeport does not know: ${unknown.join(', ')}`,
      stops
        ? `they stop the subscription: alter table ${table.name} drop column ..., or keep them in a table of your own`
        : `they stay empty: alter table ${table.name} drop column ...`,
      stops ? 'error' : 'warning',
    )
  }
  if (facts.rowSecurity) {
    complain(
      'ROW_SECURITY',
      `row level security is on for ${table.name}; replication and the reader would miss rows`,
      `alter table ${table.name} disable row level security`,
    )
  }
  if (!facts.owned) {
    const denied = side === 'primary' ? 'publish it' : 'let the subscription fill it'
    complain(
      'NOT_OWNER',
      `this role does not own ${table.name} and may not ${denied}`,
      'use the owner of the tables',
    )
  }
  const needed = [...table.key, ...filterColumns(table)]
  const lacking = needed.filter((column) => facts.identity?.includes(column) !== true)
  if (lacking.length > 0) {
    complain(
      'REPLICA_IDENTITY',
      `the replica identity of ${table.name} lacks ${lacking.join(', ')}`,
      `alter table ${table.name} replica identity using index ${table.name}_identity`,
    )
  }
  return findings
}

function judgeTypes(
  table: PublishedTable,
  primary: TableFacts | undefined,
  cloud: TableFacts | undefined,
): Finding[] {
  if (primary === undefined || cloud === undefined) return []
  const { findings, complain } = complaints('cloud')
  for (const column of primary.columns) {
    const other = cloud.columns.find((one) => one.column === column.column)
    if (other === undefined || unqualified(other.type) === unqualified(column.type)) continue
    complain(
      'TYPE_DIFFERS',
      `${table.name}.${column.column} is ${other.type} here and ${column.type} on the primary`,
      'ops migrate; if that changes nothing, one of the two was altered by hand',
    )
  }
  return findings
}

/** pgvector may live in another schema on each side. */
function unqualified(type: string): string {
  return type.replace(/^.*\./, '')
}

/** The columns a row filter looks at. */
export function filterColumns(table: PublishedTable): string[] {
  const words = new Set((table.filter ?? '').replace(/'[^']*'/g, '').match(/\w+/g))
  return table.columns.filter((column) => words.has(column))
}

/** Copying into tables that have rows would collide at the first key that both have. */
export function judgeFilledTables(filled: readonly string[], ingested = false): Finding[] {
  if (filled.length === 0) return []
  if (ingested) {
    return [
      {
        code: 'CLOUD_INGESTED',
        side: 'cloud',
        severity: 'error',
        message: "its content was ingested there: this looks like a primary, and its rows are nobody's copy",
        fix: 'LOCAL_DATABASE_URL is the primary at home, PRODUCTION_DATABASE_URL the cloud: are they swapped?',
      },
    ]
  }
  return [
    {
      code: 'CLOUD_NOT_EMPTY',
      side: 'cloud',
      severity: 'error',
      message: `these tables have rows but no subscription fills them: ${filled.join(', ')}`,
      fix: `if they are an old copy of the primary, empty them there: truncate ${filled.join(', ')} cascade`,
    },
  ]
}
