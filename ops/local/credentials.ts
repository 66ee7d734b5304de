import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Credentials {
  readerPassword: string
  replicationPassword: string
}

/** The passwords of the two least-privilege roles, made once and kept in a file that only we can read. */
export function loadCredentials(folder: string): Credentials {
  const file = join(folder, 'credentials.json')
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Credentials
  const made: Credentials = { readerPassword: password(), replicationPassword: password() }
  writeFileSync(`${file}.new`, `${JSON.stringify(made)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return made
}

function password(): string {
  return randomBytes(24).toString('hex')
}
