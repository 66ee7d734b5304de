import type { Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../../../core/db.ts'
import { publishedTables } from '../../../../core/published-tables.ts'
import { identifySystem, openReplicationSession } from '../../../../replication/relay/replication-session.ts'
import { directSeed } from '../../../../replication/relay/seed/direct-seed.ts'
import { runSeed, type RunSeedOptions, type SeedReport } from '../../../../replication/relay/seed/run-seed.ts'
import { readSlotName } from '../../../../replication/slot.ts'
import { createDatabasePair } from '../../../support/databases.ts'

export interface SeedPair {
  primaryUrl: string
  cloudUrl: string
  primary: pg.Pool
  cloud: pg.Pool
  slot: string
  /** Runs a seed in this process, everything from the start unless told otherwise; small ranges. */
  seed: (options?: Partial<RunSeedOptions>) => Promise<SeedReport>
}

/** Two migrated databases as superuser, and the seed between them. */
export async function createSeedPair(t: Test): Promise<SeedPair> {
  const urls = await createDatabasePair(t)
  const open = (connectionString: string, max = 8): pg.Pool => {
    const pool = createPool({ connectionString, applicationName: 'homeport test', max })
    t.teardown(() => pool.end())
    return pool
  }
  const primary = open(urls.primaryUrl)
  const cloud = open(urls.cloudUrl)
  const slot = await readSlotName(cloud)
  const session = await openReplicationSession(urls.primaryUrl)
  const identity = await identifySystem(session)
  await session.end()
  const seed = (options: Partial<RunSeedOptions> = {}): Promise<SeedReport> =>
    runSeed({
      primary,
      primaryUrl: urls.primaryUrl,
      replicationUrl: urls.primaryUrl,
      cloud: directSeed(cloud),
      slot,
      identity,
      work: { kind: 'start', dropSlot: false, empty: [] },
      tables: publishedTables,
      size: { rows: 50 },
      ...options,
    })
  return { ...urls, primary, cloud, slot, seed }
}

/** Sources with a segment, words and a vector each, all with the ids from..to; every tenth is private. */
export async function fillTalks(primary: pg.Pool, from: number, to: number): Promise<void> {
  await primary.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state, activated_at)
     values (1, 'test', 'lsa', 'x', 4, 0.8, 0.2, 'active', now()) on conflict do nothing`,
  )
  const visibility = `case when id % 10 = 0 then 'private' else 'public' end`
  const statements = [
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
     select id, 'video', 'talk ' || id, ${visibility}, 'transcript', now() from generate_series($1::bigint, $2) id`,
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select id, id, ${visibility}, 0, repeat('words of ' || id || ' ', 20), '[]', 'test' from generate_series($1::bigint, $2) id`,
    `insert into segment_terms (segment_id, visibility, terms, counts, length)
     select id, ${visibility}, array[id::int, 1], '{1,2}', 3 from generate_series($1::bigint, $2) id`,
    `insert into embeddings (model_id, segment_id, visibility, embedding)
     select 1, id, ${visibility}, array[id % 7, 1, 0.5, 0.25]::real[]::halfvec from generate_series($1::bigint, $2) id`,
  ]
  for (const statement of statements) await primary.query(statement, [from, to])
}
