import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { HomeportError } from './errors.ts'

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
  let text = cache.get(name)
  if (text === undefined) {
    text = readFileSync(new URL(`${name}.sql`, root), 'utf8')
      .trim()
      .replace(/;$/, '')
    cache.set(name, text)
  }
  return text.replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
    const value = numbers[key]
    if (value === undefined || !Number.isSafeInteger(value)) {
      throw new HomeportError('SQL_PLACEHOLDER', `sql/${name}.sql needs a whole number for {{${key}}}`)
    }
    return String(value)
  })
}
