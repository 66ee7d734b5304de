import t from 'tap'
import { connect } from '../../../core/db.ts'
import { countTerms } from '../../../core/words.ts'
import { seedContent } from '../../support/content.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { bruteForce, idsFor, sources, started, words } from './database-fixture.ts'

t.test('rows arrive, change and go', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 3), model: { id: 1, dimensions: 8 } })
  const fallback = await started(t, url)
  const same = async (what: string) => {
    await fallback.refresh()
    const query = 'postgres slot zebra'
    const { hits } = await fallback.index.search({ query, limit: 600, offset: 0 })
    t.same(
      hits.map((hit) => [hit.segmentId, hit.scores.vector.toFixed(4)]),
      (await bruteForce(url, query, 600)).map((one) => [one.segmentId, one.vector.toFixed(4)]),
      what,
    )
  }
  await same('as seeded')

  await seedContent(url, { sources: [{ id: 50, title: 'New', segments: [{ text: 'a zebra and a slot' }] }] })
  await same('arrived, without a vector')
  t.same((await idsFor(fallback, 'zebra'))[0], '50000')
  await queryRows(
    url,
    `insert into embeddings (model_id, segment_id, visibility, embedding)
     select 1, 50000, 'public', embedding from embeddings limit 1`,
  )
  await same('its vector came')

  await queryRows(url, `update segments set speaker = 'Bob' where id = 1000`)
  await queryRows(url, `update sources set title = 'Renamed' where id = 1`)
  await fallback.refresh()
  const hit = (await fallback.index.search({ query: 'postgres slot', limit: 600, offset: 0 })).hits.find(
    (one) => one.segmentId === '1000',
  )
  t.match(hit?.row, { speaker: 'Bob', source: { title: 'Renamed' } })

  await queryRows(url, 'delete from segments where id = 2003')
  await same('one gone, by its tombstone')
  t.notOk((await idsFor(fallback, words.join(' '))).includes('2003'))

  // A source that turned private leaves the cloud: its rows go, with tombstones from home.
  await queryRows(url, 'delete from sources where id = 3')
  await same('a source gone')
  t.equal(fallback.status().segments, 12 + 11 + 1)

  // Deleted and brought back unchanged within one turn.
  await queryRows(
    url,
    `with gone as (delete from segments where id = 50000 returning *)
     insert into tombstones (segment_id) select id from gone`,
  )
  await seedContent(url, { sources: [{ id: 51, title: 'x', segments: [{ text: 'zebra' }] }] })
  await same('gone, and another came')
})

t.test('a transaction that commits late is found, with lower numbers than what was seen', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 2), model: { id: 1, dimensions: 8 } })
  const fallback = await started(t, url)
  const late = await connect({ connectionString: url, applicationName: 'late' })
  t.teardown(() => late.end())
  await late.query('begin')
  await late.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     values (77, 1, 'public', 50, 'a late zebra', '[]', 'test')`,
  )
  const counted = countTerms('a late zebra')
  await late.query(`insert into segment_terms values (77, 'public', $1, $2, $3)`, [
    counted.terms,
    counted.counts,
    counted.length,
  ])
  await seedContent(url, { sources: [{ id: 60, title: 'Later', segments: [{ text: 'a quick okapi' }] }] })
  await fallback.refresh()
  t.equal((await idsFor(fallback, 'okapi'))[0], '60000')
  t.notOk((await idsFor(fallback, 'zebra')).includes('77'))
  await late.query('commit')
  await fallback.refresh()
  t.equal((await idsFor(fallback, 'zebra'))[0], '77')
})

t.test('a transaction that was open when everything was loaded', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 2) })
  const late = await connect({ connectionString: url, applicationName: 'late' })
  t.teardown(() => late.end())
  await late.query('begin')
  await late.query(`update segments set speaker = 'Late' where id = 1000`)
  await seedContent(url, { sources: [{ id: 60, title: 'Later', segments: [{ text: 'a quick okapi' }] }] })
  const fallback = await started(t, url)
  await late.query('commit')
  await fallback.refresh()
  const { hits } = await fallback.index.search({ query: words.join(' '), limit: 600, offset: 0 })
  t.equal(hits.find((hit) => hit.segmentId === '1000')?.row.speaker, 'Late')
})

t.test('what was deleted is forgotten, however long ago it was written', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 2) })
  await queryRows(url, `select setval('change_seq', 1000000)`)
  await seedContent(url, { sources: sources(2, 3, 1) })
  const fallback = await started(t, url)
  await queryRows(url, 'delete from segments where id = 1000')
  await fallback.refresh()
  t.equal(fallback.status().segments, 35)
  t.notOk((await idsFor(fallback, words.join(' '))).includes('1000'))
})

t.test('what no window shows, a sweep finds', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await queryRows(url, `select setval('change_seq', 1000000)`)
  await seedContent(url, { sources: sources(1, 1, 2), model: { id: 1, dimensions: 8 } })
  const fallback = await started(t, url)
  // As a subscription applies them: no trigger leaves a tombstone, and the numbers are old.
  await queryRows(
    url,
    `do $$ begin
       set local session_replication_role = replica;
       update segments set speaker = 'Swept', change_seq = 5 where id = 1000;
       delete from embeddings where segment_id = 1001;
       delete from segment_terms where segment_id = 1001;
       delete from segments where id = 1001;
       delete from embeddings where segment_id = 1002;
     end $$`,
  )
  await fallback.refresh({ sweep: true })
  const all = await idsFor(fallback, words.join(' '))
  t.notOk(all.includes('1001'))
  t.equal(fallback.status().segments, 23)
  const expected = await bruteForce(url, 'postgres slot', 600)
  t.same(
    await idsFor(fallback, 'postgres slot'),
    expected.map((one) => one.segmentId),
  )
  const answer = await fallback.index.search({ query: words.join(' '), limit: 600, offset: 0 })
  t.equal(answer.hits.find((hit) => hit.segmentId === '1000')?.row.speaker, 'Swept')

  await queryRows(
    url,
    `do $$ begin
       set local session_replication_role = replica;
       insert into segments (id, source_id, visibility, ordinal, text, turns, engine, change_seq)
       values (78, 1, 'public', 60, 'an old zebra', '[]', 'test', 6);
     end $$`,
  )
  await fallback.refresh()
  t.equal(fallback.status().segments, 23, 'below the window')
  await fallback.refresh({ sweep: true })
  t.equal(fallback.status().segments, 24)
  // Its words come later still, as the tables of an initial copy do.
  const counted = countTerms('an old zebra')
  await queryRows(url, `insert into segment_terms values (78, 'public', $1, $2, $3)`, [
    counted.terms,
    counted.counts,
    counted.length,
  ])
  await fallback.refresh()
  t.equal((await idsFor(fallback, 'zebra'))[0], '78')
})

t.test('many changes: the tail is compacted, and the dead are dropped', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 4, 100), model: { id: 1, dimensions: 8 } })
  const fallback = await started(t, url)
  for (const round of [1, 2, 3]) {
    await queryRows(url, `update segments set chapter = 'Round ${round}' where source_id <= 2`)
    await fallback.refresh()
  }
  const { collection } = fallback.index.held!
  t.equal(collection.size, 400)
  t.ok(collection.rowCount < 1_000, `${collection.rowCount} rows: dead ones were dropped`)
  const expected = (await bruteForce(url, 'postgres slot', 600)).map((one) => one.segmentId)
  t.same(await idsFor(fallback, 'postgres slot'), expected)
  const answer = await fallback.index.search({ query: 'postgres', limit: 600, offset: 0 })
  t.ok(answer.hits.some((hit) => hit.row.chapter === 'Round 3'))
  t.notOk(answer.hits.some((hit) => /Round [12]/.test(hit.row.chapter ?? '')))
})

t.test('another generation of vectors', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  const content = sources(1, 1, 3)
  await seedContent(url, { sources: content, model: { id: 1, dimensions: 8 } })
  const fallback = await started(t, url)
  t.equal(fallback.status().modelId, 1)

  await queryRows(url, `update models set words_weight = 0.1, vector_weight = 0.9`)
  await fallback.refresh()
  const weighed = (await bruteForce(url, 'lag home', 600)).map((one) => one.segmentId)
  t.same(await idsFor(fallback, 'lag home'), weighed, 'other weights count at once')

  await queryRows(url, `update models set state = 'retired'`)
  await seedContent(url, { sources: [], model: { id: 2, dimensions: 12, seed: 9 } })
  await fallback.refresh()
  t.match(fallback.status(), { modelId: 2, segments: 36 })
  const answer = await fallback.index.search({ query: 'lag home', limit: 5, offset: 0 })
  t.equal(answer.model?.id ?? null, null, 'the new basis knows none of these words: nothing was compared')

  // A basis that is not whole: words answer, and it says so.
  await queryRows(url, `update models set state = 'retired'`)
  await queryRows(
    url,
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (3, 'lsa-3', 'lsa', 'not here', 8, 0.8, 0.2, 'active')`,
  )
  await fallback.refresh()
  t.match(fallback.status(), { modelId: 3, ready: true, lastError: 'GENERATION_MISMATCH' })
  t.ok((await idsFor(fallback, 'lag')).length > 0)

  await queryRows(url, `update models set state = 'retired'`)
  await fallback.refresh()
  t.equal(fallback.status().modelId, null)
  const without = (await bruteForce(url, 'lag home', 600)).map((one) => one.segmentId)
  t.same(await idsFor(fallback, 'lag home'), without, 'without a generation words decide alone')
})
