import { appendFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HomeportError } from '../../core/errors.ts'

export interface DataDirectoryOptions {
  /** For messages. */
  clusterName: string
  directory: string
  superuser: string
  passwordFile: string
  durable: boolean
  run: (initdbArgs: readonly string[]) => Promise<{ code: number; output: string }>
}

/** Where a data directory lies until it is complete. */
export function draftOf(directory: string): string {
  return `${directory}.new`
}

/**
 * Makes a Postgres data directory: UTF-8, text sorted by code point, every connection by password.
 * Appears under its name only when it is complete, so a creation that was cut off is done again.
 *
 * @throws HomeportError CLUSTER_CREATE with what initdb said.
 */
export async function createDataDirectory(options: DataDirectoryOptions): Promise<void> {
  const draft = draftOf(options.directory)
  const args = ['-D', draft, '--username', options.superuser, '--pwfile', options.passwordFile]
  args.push('--auth', 'scram-sha-256', '--encoding', 'UTF8')
  if (!options.durable) args.push('--no-sync')
  let last = { code: 1, output: '' }
  // macOS before 14 does not know the first name.
  for (const locale of ['C.UTF-8', 'C']) {
    rmSync(draft, { recursive: true, force: true, maxRetries: 5 })
    last = await options.run([...args, `--locale=${locale}`])
    if (last.code === 0 || !/invalid locale/i.test(last.output)) break
  }
  if (last.code !== 0) {
    throw new HomeportError(
      'CLUSTER_CREATE',
      `the ${options.clusterName} cluster cannot be created:\n${whatFailed(last.output)}`,
    )
  }
  appendFileSync(join(draft, 'postgresql.conf'), "\ninclude_if_exists = 'homeport.conf'\n")
  rmSync(options.directory, { recursive: true, force: true })
  renameSync(draft, options.directory)
}

/** The lines of initdb's long report that say what went wrong; all of it where none does. */
export function whatFailed(output: string): string {
  const telling = output.split('\n').filter((line) => /FATAL|PANIC|ERROR|HINT|error:|could not/.test(line))
  return (telling.length > 0 ? telling.join('\n') : output).trim()
}
