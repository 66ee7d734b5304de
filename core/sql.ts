import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { HomeportError } from './errors.ts'

const { escapeIdentifier, escapeLiteral } = pg

const root = new URL('../sql/', import.meta.url)
const cache = new Map<string, string>()

/** The folder of migrations, roles, queries and checks, as a path of this machine. */
export const sqlFolder = fileURLToPath(root)

/**
 * The text of `sql/<name>.sql`. `{{name}}` placeholders, which exist for what SQL cannot take as a
 * parameter (a vector's dimensions, a partial index's model), are replaced by whole numbers only.
 *
 * @throws HomeportError SQL_PLACEHOLDER when a placeholder is left over or not a whole number.
 */
export function loadSql(name: string, numbers: Readonly<Record<string, number>> = {}): string {
  return readSql(name).replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
    const value = numbers[key]
    if (value === undefined || !Number.isSafeInteger(value)) {
      throw new HomeportError('SQL_PLACEHOLDER', `sql/${name}.sql needs a whole number for {{${key}}}`)
    }
    return String(value)
  })
}

function readSql(name: string): string {
  let text = cache.get(name)
  if (text === undefined) {
    text = readFileSync(new URL(`${name}.sql`, root), 'utf8')
      .trim()
      .replace(/;$/, '')
    cache.set(name, text)
  }
  return text
}

/** A piece of SQL that is safe to put into a statement: made by {@link identifier}, {@link literal} and {@link fragment} only. */
export interface SqlFragment {
  readonly sql: string
}

/** A quoted name. */
export function identifier(name: string): SqlFragment {
  return { sql: escapeIdentifier(name) }
}

/** A quoted text. */
export function literal(text: string): SqlFragment {
  return { sql: escapeLiteral(text) }
}

/** SQL that this program wrote itself or read from the catalogue: never anything a person typed. */
export function fragment(sql: string): SqlFragment {
  return { sql }
}

export function joinSql(parts: readonly SqlFragment[], separator = ', '): SqlFragment {
  return { sql: parts.map((part) => part.sql).join(separator) }
}

/**
 * The text of `sql/<name>.sql` with every `{{name}}` replaced: for statements in which Postgres takes
 * no parameters (roles, publications, subscriptions) and for generated column lists.
 *
 * @throws HomeportError SQL_PLACEHOLDER when a placeholder is left over.
 */
export function renderSql(name: string, parts: Readonly<Record<string, SqlFragment>>): string {
  return readSql(name).replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
    const part = parts[key]
    if (part === undefined) throw new HomeportError('SQL_PLACEHOLDER', `sql/${name}.sql needs {{${key}}}`)
    return part.sql
  })
}
