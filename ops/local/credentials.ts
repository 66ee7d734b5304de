import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const names = ['readerPassword', 'replicationPassword', 'relayPassword', 'gatewayPassword'] as const

export type Credentials = Record<(typeof names)[number], string>

/** The passwords of the least-privilege roles, made once and kept in a file that only we can read. */
export function loadCredentials(folder: string): Credentials {
  const file = join(folder, 'credentials.json')
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Partial<Credentials>) : {}
  const made = Object.fromEntries(names.map((name) => [name, known[name] ?? password()])) as Credentials
  if (names.every((name) => known[name] !== undefined)) return made
  writeFileSync(`${file}.new`, `${JSON.stringify(made)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return made
}

function password(): string {
  return randomBytes(24).toString('hex')
}
