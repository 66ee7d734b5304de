import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Cluster } from '../../ops/local/cluster.ts'
import { findPostgres, type PostgresBinaries } from '../../ops/local/find-postgres.ts'
import { privateCluster } from './clusters.ts'

const data = fileURLToPath(new URL('../../data', import.meta.url))

/** The Postgres 17 beside the machine's own that ops/bootstrap/postgres-17.sh made, or null where it could not. */
export function postgres17(): PostgresBinaries | null {
  const folder = join(data, 'postgres-17')
  return existsSync(folder) ? findPostgres({ binDir: join(realpathSync(folder), 'bin') }) : null
}

/** For `skip`: why there is no Postgres 17, or false when there is. */
export function withoutPostgres17(): string | false {
  if (postgres17() !== null) return false
  const why = join(data, 'postgres-17-not-made')
  const reason = existsSync(why) ? readFileSync(why, 'utf8').trim() : 'run bash ops/bootstrap.sh --test'
  return `there is no Postgres 17: ${reason}`
}

/** A started cluster of the test's own with Postgres 17, as {@link privateCluster}. @throws where there is none. */
export async function privateCluster17(t: Test, name: string): Promise<Cluster> {
  const postgres = postgres17()
  if (postgres === null) throw new Error(String(withoutPostgres17()))
  return privateCluster(t, name, { postgres })
}
