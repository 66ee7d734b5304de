import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { captionsInProcess } from '../ingest/support/in-process.ts'
import { sampleTalks, startIngest } from '../ingest/support/run-ingest.ts'
import { storedContent } from '../ingest/support/stored.ts'
import { createDatabase, queryRows } from '../support/databases.ts'

/** Where a run may be killed: at the n-th row written to a table. */
const places = [
  ['sources', 3],
  ['segments', 9],
  ['segment_terms', 9],
  ['ingested_files', 3],
  ['lexicon', 40],
  ['collection', 1],
  ['models', 2],
  ['model_terms', 200],
  ['embeddings', 9],
] as const

/** What a transaction that was cut off would have left. */
const halves = `
  select 'source' as what, id from sources where id not in (select source_id from ingested_files)
  union all
  select 'segment', id from segments where id not in (select segment_id from segment_terms)
  union all
  select 'basis', id from models where not exists (select from model_terms where model_id = models.id)`

/** More for a longer look: HOMEPORT_CRASH_SEEDS=40. */
const seeds = Number(process.env['HOMEPORT_CRASH_SEEDS'] ?? places.length)

t.test('killed anywhere and run again, it ends like a run that was not killed', async (t) => {
  const folder = t.testdir({})
  for (const name of readdirSync(sampleTalks).sort().slice(0, 8)) {
    copyFileSync(join(sampleTalks, name), join(folder, name))
  }
  const cleanUrl = await createDatabase(t, 'primary')
  await captionsInProcess(cleanUrl, [folder])
  const clean = await storedContent(cleanUrl)
  t.equal(clean['sources']?.length, 4)

  for (let seed = 0; seed < seeds; seed += 1) {
    const [table, most] = places[seed % places.length] ?? places[0]
    const row = 1 + ((seed * 7 + 2) % most)
    const url = await createDatabase(t, 'primary')
    await queryRows(url, 'create sequence stalled')
    await queryRows(
      url,
      `create function stall() returns trigger language plpgsql as $$
       begin
         if nextval('stalled') = ${row} then perform pg_sleep(600); end if;
         return null;
       end $$`,
    )
    await queryRows(
      url,
      `create trigger stall after insert or update on ${table} for each row execute function stall()`,
    )
    const { child, ended } = startIngest(['captions', folder], { env: { LOCAL_DATABASE_URL: url } })
    const backend = await Promise.race([stalledBackend(url), ended.then(() => undefined)])
    t.ok(backend, `row ${row} of ${table} is being written`)
    child.kill('SIGKILL')
    t.equal((await ended).signal, 'SIGKILL')
    // A server in the middle of a statement does not look whether its client is still there.
    await queryRows(url, 'select pg_terminate_backend($1)', [backend])
    await queryRows(url, `drop trigger stall on ${table}`)

    t.same(await queryRows(url, halves), [], 'nothing is there by half')
    const { report } = await captionsInProcess(url, [folder])
    t.ok(report.ok)
    t.same(await storedContent(url), clean, `killed at row ${row} of ${table}`)
  }
})

async function stalledBackend(url: string): Promise<number> {
  for (;;) {
    const [found] = await queryRows<{ pid: number }>(
      url,
      `select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    )
    if (found !== undefined) return found.pid
    await sleep(20)
  }
}
