import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../core/db.ts'
import { ingestCaptions, runIngest, sampleTalks, startIngest } from '../ingest/support/run-ingest.ts'
import { rowPlaces } from '../ingest/support/stored.ts'
import { createDatabase, queryRows } from '../support/databases.ts'
import { tinyDimensions, writeTinyModel } from '../support/tiny-onnx-model.ts'

t.test('the built-in sample goes in whole, and a second run writes nothing', async (t) => {
  const url = await createDatabase(t, 'primary')
  const first = await ingestCaptions(url, [sampleTalks])
  t.equal(first.exitCode, 0, first.stderr)
  const { report } = first
  t.match(report, { ok: true, files: 13, sources: { added: 13, failed: 0 }, failures: [] })
  t.ok(report.segments.added > 50)
  t.match(report.generation, { action: 'build', vectorsAdded: report.segments.added, model: { kind: 'lsa' } })

  const [stored] = await queryRows(
    url,
    `select (select count(*)::int from segments) as segments,
            (select count(*)::int from segment_terms) as terms,
            (select count(*)::int from embeddings) as vectors,
            (select count(*)::int from segments where start_ms is null or end_ms <= start_ms) as untimed,
            (select count(*)::int from segments where word_starts_ms is not null
               and cardinality(word_starts_ms) <> cardinality(regexp_split_to_array(text, '\\s+'))) as uneven,
            (select max(end_ms - start_ms) from segments) as longest_ms,
            (select max(cardinality(regexp_split_to_array(text, '\\s+'))) from segments) as most_words`,
  )
  const { added } = report.segments
  t.match(stored, { segments: added, terms: added, vectors: added, untimed: 0, uneven: 0 })
  t.ok(Number(stored?.['longest_ms']) <= 120_000)
  t.ok(Number(stored?.['most_words']) <= 300)

  const before = await rowPlaces(url)
  const second = await ingestCaptions(url, [sampleTalks])
  t.equal(second.exitCode, 0, second.stderr)
  t.match(second.report, {
    sources: { added: 0, changed: 0, unchanged: 13 },
    segments: { added: 0, removed: 0, updated: 0, unchanged: added },
    generation: { action: 'keep', vectorsAdded: 0, lexiconWritten: null },
  })
  t.same(await rowPlaces(url), before, 'no row was written, moved or locked, no number drawn')

  const status = await runIngest(['status', '--json'], { env: { LOCAL_DATABASE_URL: url } })
  t.match(JSON.parse(status.stdout), {
    files: 13,
    sources: { all: 13, public: 12 },
    segments: { all: added },
    missingVectors: 0,
    model: { id: 1 },
    lastIngest: /^\d{4}-/,
  })
})

t.test('a private talk is kept at home as private, with all that hangs on it', async (t) => {
  const url = await createDatabase(t, 'primary')
  await ingestCaptions(url, [
    `${sampleTalks}/winter-planning.en.srt`,
    `${sampleTalks}/slots-and-full-disks.en.vtt`,
  ])
  const rows = await queryRows(
    url,
    `select o.visibility, bool_and(s.visibility = o.visibility and w.visibility = o.visibility
              and e.visibility = o.visibility) as alike
     from sources o join segments s on s.source_id = o.id join segment_terms w on w.segment_id = s.id
     join embeddings e on e.segment_id = s.id
     group by 1 order by 1`,
  )
  t.same(rows, [
    { visibility: 'private', alike: true },
    { visibility: 'public', alike: true },
  ])
  const [counted] = await queryRows(
    url,
    `select documents = (select count(*) from segments where visibility = 'public') as public_only,
            documents = (select fitted_segments from models) as fitted_on_the_same
     from collection`,
  )
  t.same(counted, { public_only: true, fitted_on_the_same: true })
})

t.test(
  'a sentence model of the setting takes over from the lexical default, and new talks get its vectors',
  async (t) => {
    const url = await createDatabase(t, 'primary')
    const model = join(t.testdir({}), 'tiny')
    await writeTinyModel(model)
    const talks = ['winter-planning.en.srt', 'slots-and-full-disks.en.vtt'].map((name) =>
      join(sampleTalks, name),
    )
    const first = await ingestCaptions(url, talks)
    const env = { LOCAL_DATABASE_URL: url, EMBEDDING_MODEL: model }
    const embedded = await runIngest(['embed', '--json'], { env })
    t.equal(embedded.exitCode, 0, embedded.stderr)
    t.match(JSON.parse(embedded.stdout), {
      action: 'build',
      model: { id: 2, name: 'tiny', kind: 'onnx', dimensions: tinyDimensions },
      vectorsAdded: first.report.segments.added,
    })
    const more = join(sampleTalks, 'vacuum-on-one-disk.en.srt')
    const second = await runIngest(['captions', more, '--json'], { env })
    t.match(JSON.parse(second.stdout), { ok: true, generation: { action: 'keep', vectorsAdded: 0 } })
    t.same(
      await queryRows(
        url,
        `select distinct e.model_id, vector_dims(e.embedding) as dimensions
       from segments s left join embeddings e on e.segment_id = s.id`,
      ),
      [{ model_id: 2, dimensions: tinyDimensions }],
    )
  },
)

t.test('of two at once the second refuses and says who is at it', async (t) => {
  const url = await createDatabase(t, 'primary')
  const holder = await connect({ connectionString: url, applicationName: 'homeport ingest 42@studio' })
  t.teardown(() => holder.end())
  await holder.query(`select pg_advisory_lock(hashtextextended('homeport ingest', 0))`)
  const run = await runIngest(['captions', sampleTalks], { env: { LOCAL_DATABASE_URL: url } })
  t.equal(run.exitCode, 1)
  t.match(run.stderr, /another ingest is at work in this database: homeport ingest 42@studio \(backend \d+/)
  t.same(await queryRows(url, 'select * from sources'), [])
  await holder.end()
  t.equal((await ingestCaptions(url, [sampleTalks])).exitCode, 0)
})

t.test('stopped by a signal, it ends between two sources and the next run goes on', async (t) => {
  const url = await createDatabase(t, 'primary')
  await queryRows(
    url,
    `create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.3); return null; end $$`,
  )
  await queryRows(url, 'create trigger slowly after insert on sources for each row execute function slowly()')
  const { child, ended } = startIngest(['captions', sampleTalks], { env: { LOCAL_DATABASE_URL: url } })
  const count = async (): Promise<number> =>
    (await queryRows<{ n: number }>(url, 'select count(*)::int as n from sources'))[0]?.n ?? 0
  while ((await count()) < 2) await sleep(20)
  child.kill('SIGTERM')
  const run = await ended
  t.equal(run.exitCode, 143, run.stderr)
  t.match(run.stderr, /Error: stopped by SIGTERM/)
  const stopped = await count()
  t.ok(stopped >= 2 && stopped < 13, `${stopped} sources are in`)
  t.same(
    await queryRows(url, 'select id from sources except select source_id from ingested_files'),
    [],
    'each of them whole',
  )
  await queryRows(url, 'drop trigger slowly on sources')
  const { report } = await ingestCaptions(url, [sampleTalks])
  t.match(report, { ok: true, sources: { added: 13 - stopped, unchanged: stopped } })
})

t.test('the server goes away in the middle', async (t) => {
  const url = await createDatabase(t, 'primary')
  await queryRows(
    url,
    `create function cut() returns trigger language plpgsql as $$
     begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`,
  )
  await queryRows(url, 'create trigger cut after insert on embeddings for each row execute function cut()')
  const run = await runIngest(['captions', sampleTalks], { env: { LOCAL_DATABASE_URL: url } })
  t.equal(run.exitCode, 1)
  t.match(run.stderr, /Error: the connection to .* was lost\nTry: run this again/)
  await queryRows(url, 'drop trigger cut on embeddings')
  t.match((await ingestCaptions(url, [sampleTalks])).report, {
    ok: true,
    sources: { unchanged: 13 },
    generation: { action: 'finish', model: { id: 1 } },
  })
})
