import { identifier } from '../core/sql.ts'
import type { Finding, Side } from './finding.ts'

/**
 * What a difference does to replication: it stands still because of it, will stop at a write that meets it, goes on
 * and the cloud is not what it should be, or nothing.
 */
export type Effect = 'stopsNow' | 'stopsLater' | 'bends' | 'harmless'

/** One thing in which the two schemas differ from each other, or from what Homeport replicates. */
export interface SchemaDifference {
  /** stable, upper case */
  code: string
  /** the server on which it was found */
  side: Side
  /** null when it is about no single table */
  table: string | null
  message: string
  effect: Effect
  fix: Fix
}

/** An `ops` command, or one statement and the server to run it on. */
export type Fix =
  | { on: null; command: string }
  | {
      on: Side
      command: string
      /** for the cloud: what was written on the primary meanwhile is in the log in the other shape */
      ifStuck?: string
    }

/** An `ops` command, or anything else that is not run in a database. */
export function command(text: string): Fix {
  return { on: null, command: text }
}

/** The statement with its server: how a person reads it. */
export function describeFix(fix: Fix): string {
  if (fix.on === null) return fix.command
  const text = `on the ${fix.on}: ${fix.command}`
  if (fix.ifStuck === undefined) return text
  return (
    `${text}; if replication stands still after that, what was written meanwhile has the other shape, and the cloud ` +
    `takes it so: on the cloud: ${fix.ifStuck}; then ops schema diff again says how back`
  )
}

/** The same as a finding: what stops or bends replication is an error. */
export function toFinding({ code, side, table, message, effect, fix }: SchemaDifference): Finding {
  return {
    code,
    side,
    severity: effect === 'harmless' ? 'warning' : 'error',
    message,
    fix: describeFix(fix),
    ...(table === null ? {} : { table }),
  }
}

/** A name as SQL has it: quoted only where it must be. */
export function plainName(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : identifier(name).sql
}

/** A column as a statement adds it: with its default where that is a constant, so that rows that are there get it too. */
export function addColumn(
  table: string,
  column: { column: string; type: string; notNull: boolean; default: string | null },
): string {
  const constant = column.default !== null && !/\(/.test(column.default) ? column.default : null
  const rest = constant === null ? '' : ` default ${constant}${column.notNull ? ' not null' : ''}`
  return `alter table ${plainName(table)} add column ${plainName(column.column)} ${column.type}${rest}`
}

/** A column becomes one of another type; what does not fit makes the statement fail. */
export function changeType(table: string, column: string, type: string): string {
  const name = plainName(column)
  return `alter table ${plainName(table)} alter column ${name} type ${type} using ${name}::${type}`
}

/** A list of names as SQL has it. */
export function nameList(names: readonly string[]): string {
  return names.map(plainName).join(', ')
}
