import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../core/db.ts'
import { listMigrations, migrate, migrationsFolder } from '../../core/migrate.ts'
import { temporaryFolder } from '../support/api.ts'
import { createDatabase } from '../support/databases.ts'

/** The last migration of the version before. */
export const before = '005-relay.sql'
export const added = listMigrations().filter((name) => name > before)

/** Two databases with the migrations up to one, or with none. */
export async function createBare(t: Test, until?: string): Promise<{ primaryUrl: string; cloudUrl: string }> {
  const primaryUrl = await createDatabase(t, 'primary', { migrate: false })
  const cloudUrl = await createDatabase(t, 'cloud', { migrate: false })
  if (until === undefined) return { primaryUrl, cloudUrl }
  for (const url of [primaryUrl, cloudUrl]) await migrate(url, { until })
  return { primaryUrl, cloudUrl }
}

/** A pool that ends with the test. */
export function open(t: Test, connectionString: string): pg.Pool {
  const pool = createPool({ connectionString, applicationName: 'homeport test' })
  t.teardown(() => pool.end())
  return pool
}

/** A folder with our migrations, and a way to add to them. */
export function newerVersion(t: Test): { folder: string; add: (name: string, sql: string) => void } {
  const folder = temporaryFolder(t)
  for (const name of listMigrations()) copyFileSync(join(migrationsFolder, name), join(folder, name))
  return { folder, add: (name, sql) => writeFileSync(join(folder, name), sql) }
}
