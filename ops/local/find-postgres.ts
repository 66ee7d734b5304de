import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setting } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'

export interface PostgresBinaries {
  /** The folder of initdb, pg_ctl and postgres. */
  binDir: string
  majorVersion: number
  hasVector: boolean
}

export const oldestMajorVersion = 15

/**
 * A Postgres of version 15 or newer with pgvector: `HOMEPORT_PG_BIN` if set, else the newest of the
 * system's, in the order of ops/bootstrap/postgres.sh.
 *
 * @throws HomeportError POSTGRES_MISSING, exit 2, when there is none.
 */
export function findPostgres(options: { binDir?: string } = {}): PostgresBinaries {
  const given = options.binDir ?? setting('HOMEPORT_PG_BIN')
  // The tools run in a working folder of their own.
  const folders = given === undefined ? systemFolders() : [resolve(given)]
  const found = folders.map(inspectFolder).filter((each) => each !== undefined)
  const usable = chooseBinaries(found)
  if (usable !== undefined) return usable
  throw new HomeportError('POSTGRES_MISSING', describeMissing(found, given), {
    hint: 'bash ops/bootstrap.sh, or set HOMEPORT_PG_BIN to the folder of initdb and postgres',
    exitCode: 2,
  })
}

/** The first that is new enough and has pgvector. The order of the candidates decides between several. */
export function chooseBinaries(candidates: readonly PostgresBinaries[]): PostgresBinaries | undefined {
  return candidates.find((each) => each.majorVersion >= oldestMajorVersion && each.hasVector)
}

function describeMissing(found: readonly PostgresBinaries[], given: string | undefined): string {
  const where = given === undefined ? 'on this machine' : `in ${given}`
  const seen = found.map((each) => `${each.majorVersion}${each.hasVector ? '' : ' without pgvector'}`)
  const saw = seen.length === 0 ? '' : ` (found: ${seen.join(', ')})`
  return `there is no Postgres ${oldestMajorVersion} or newer with pgvector ${where}${saw}`
}

function systemFolders(): string[] {
  const versioned = [
    ...versionsIn('/usr/lib/postgresql', /^(\d+)$/, 'bin'),
    ...versionsIn('/usr', /^pgsql-(\d+)$/, 'bin'),
    ...versionsIn('/opt/homebrew/opt', /^postgresql@(\d+)$/, 'bin'),
    ...versionsIn('/usr/local/opt', /^postgresql@(\d+)$/, 'bin'),
  ]
  const onPath = toolOutput('pg_config', ['--bindir'])
  return onPath === undefined || versioned.includes(onPath) ? versioned : [...versioned, onPath]
}

function versionsIn(parent: string, pattern: RegExp, below: string): string[] {
  if (!existsSync(parent)) return []
  return readdirSync(parent)
    .map((name) => ({ name, version: Number(pattern.exec(name)?.[1] ?? 0) }))
    .filter((each) => each.version > 0)
    .sort((a, b) => b.version - a.version)
    .map((each) => join(parent, each.name, below))
}

function inspectFolder(binDir: string): PostgresBinaries | undefined {
  if (!['initdb', 'pg_ctl', 'postgres'].every((tool) => existsSync(join(binDir, tool)))) return undefined
  const version = toolOutput(join(binDir, 'postgres'), ['--version'])
  const majorVersion = Number(/\(PostgreSQL\) (\d+)/.exec(version ?? '')?.[1] ?? 0)
  if (majorVersion === 0) return undefined
  return { binDir, majorVersion, hasVector: hasVector(binDir) }
}

function hasVector(binDir: string): boolean {
  const config = join(binDir, 'pg_config')
  const shares = existsSync(config) ? [toolOutput(config, ['--sharedir'])] : []
  // Relocatable builds without pg_config keep share/ beside bin/.
  const candidates = [...shares, join(binDir, '../share/postgresql'), join(binDir, '../share')]
  return candidates.some(
    (share) => share !== undefined && existsSync(join(share, 'extension', 'vector.control')),
  )
}

// A tool that is absent or does not run on this machine is no candidate; that is the answer, not a failure.
function toolOutput(tool: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(tool, args, {
      encoding: 'utf8',
      cwd: '/',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return undefined
  }
}
