import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { captionsInProcess, paragraph, webvtt } from '../support/in-process.ts'
import { rowPlaces, segmentsOf, storedContent } from '../support/stored.ts'

const talk = (from: number, count = 6): string =>
  webvtt(Array.from({ length: count }, (_, index) => paragraph(from + index)))
const none = { added: 0, changed: 0, unchanged: 0, removed: 0, failed: 0 }

t.test('changed input replaces exactly what changed', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.vtt': talk(0), 'b.vtt': talk(100) })
  const first = await captionsInProcess(url, [folder])
  t.match(first.report, { ok: true, sources: { added: 2 }, segments: { added: 12 } })
  const before = { a: await segmentsOf(url, 'A'), b: await segmentsOf(url, 'B') }

  const paragraphs = Array.from({ length: 6 }, (_, index) => paragraph(index))
  paragraphs[2] = 'Here something else is said now.'
  writeFileSync(join(folder, 'a.vtt'), webvtt(paragraphs))
  const { report } = await captionsInProcess(url, [folder])
  t.match(report.sources, { ...none, changed: 1, unchanged: 1 })
  t.same(report.segments, { added: 1, removed: 1, updated: 0, unchanged: 11 })
  const after = await segmentsOf(url, 'A')
  t.equal(after[2]?.text, 'Here something else is said now.')
  t.same(after.toSpliced(2, 1), before.a.toSpliced(2, 1), 'the others were not written')
  t.same(await segmentsOf(url, 'B'), before.b)
  t.match(await queryRows(url, 'select segment_id from tombstones'), [{ segment_id: before.a[2]?.id }])
  t.match(
    await queryRows(url, 'select count(*)::int from embeddings where segment_id = $1', [after[2]?.id]),
    [{ count: 1 }],
    'the new one has its vector',
  )
})

t.test('what moves only is updated, not replaced', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.vtt': talk(0) })
  await captionsInProcess(url, [folder])
  const before = await segmentsOf(url, 'A')
  // The first cue goes: the others keep their times and words, and move up.
  writeFileSync(join(folder, 'a.vtt'), talk(0).replace(/00:00:00.*?\n.*?\n\n/s, ''))
  const { report } = await captionsInProcess(url, [folder])
  t.same(report.segments, { added: 0, removed: 1, updated: 5, unchanged: 0 })
  const after = await segmentsOf(url, 'A')
  t.same(
    after.map(({ id }) => id),
    before.slice(1).map(({ id }) => id),
  )
})

t.test('metadata that changes touches the source alone', async (t) => {
  const url = await createDatabase(t, 'primary')
  const info = (views: number): string =>
    JSON.stringify({ webpage_url: 'https://example.org/a', title: 'A', view_count: views })
  const folder = t.testdir({ 'a.vtt': talk(0), 'a.info.json': info(1) })
  await captionsInProcess(url, [folder])
  const before = await rowPlaces(url)
  writeFileSync(join(folder, 'a.info.json'), info(2))
  const { report } = await captionsInProcess(url, [folder])
  t.match(report, { sources: { changed: 1 }, segments: { added: 0, updated: 0, unchanged: 6 } })
  const after = await rowPlaces(url)
  const changed = Object.keys(before).filter((table) => before[table] !== after[table])
  t.same(changed, ['sources', 'ingested_files', 'change_seq'])
})

t.test('a source that becomes public enters the publication whole', async (t) => {
  const url = await createDatabase(t, 'primary')
  const info = (availability: string): string =>
    JSON.stringify({ webpage_url: 'https://example.org/a', title: 'A', availability })
  const folder = t.testdir({ 'a.vtt': talk(0), 'a.info.json': info('private'), 'b.vtt': talk(50) })
  await captionsInProcess(url, [folder])
  const kinds = `select visibility, count(*)::int from segments group by 1 order by 1`
  t.same(await queryRows(url, kinds), [
    { visibility: 'private', count: 6 },
    { visibility: 'public', count: 6 },
  ])
  const before = await segmentsOf(url, 'A')
  writeFileSync(join(folder, 'a.info.json'), info('public'))
  const { report } = await captionsInProcess(url, [folder])
  t.match(report, { sources: { changed: 1 }, segments: { added: 6, removed: 6 } })
  const after = await segmentsOf(url, 'A')
  t.same(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  )
  t.ok(
    after.every((segment, index) => segment.xmin !== before[index]?.xmin),
    'every row was inserted anew',
  )
  t.same(await queryRows(url, 'select * from tombstones'), [], 'what was private leaves no trace')
  t.same(await queryRows(url, kinds), [{ visibility: 'public', count: 12 }])
  t.match(await queryRows(url, `select count(*)::int from embeddings where visibility = 'public'`), [
    { count: 12 },
  ])
  writeFileSync(join(folder, 'a.info.json'), info('private'))
  await captionsInProcess(url, [folder])
  t.match(await queryRows(url, 'select count(*)::int from tombstones'), [{ count: 6 }], 'and back')
})

t.test('a file is counted once, by whatever paths it is given', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ talks: { 'a.vtt': talk(0) } })
  symlinkSync(join(folder, 'talks'), join(folder, 'link'))
  const paths = [join(folder, 'talks'), join(folder, 'link'), join(folder, 'talks/a.vtt'), folder]
  const { report } = await captionsInProcess(url, paths)
  t.match(report, { ok: true, files: 1, sources: { added: 1 } })
  const again = await captionsInProcess(url, [join(folder, 'link')])
  t.match(again.report, { ok: true, files: 1, sources: { added: 0, unchanged: 1 } })
})

t.test('one source in two files is taken once, and said', async (t) => {
  const url = await createDatabase(t, 'primary')
  const info = JSON.stringify({ webpage_url: 'https://example.org/a', title: 'A' })
  const folder = t.testdir({
    'a.vtt': talk(0),
    'a.info.json': info,
    copy: { 'b.vtt': talk(0), 'b.info.json': info },
  })
  const { report, notes } = await captionsInProcess(url, [folder])
  t.match(report, { ok: false, sources: { added: 1, failed: 1 }, failures: [{ code: 'DUPLICATE_SOURCE' }] })
  t.match(notes.join('\n'), /b\.vtt: it is the same source as .*a\.vtt/)
  const again = await captionsInProcess(url, [folder])
  t.match(again.report, { sources: { added: 0, changed: 0, unchanged: 1, failed: 1 } })
})

t.test('a better track takes the place of the one before', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.en.srt': '1\n00:00:00,000 --> 00:00:05,000\nHello there\n' })
  await captionsInProcess(url, [folder])
  const [before] = await queryRows<{ id: string }>(url, 'select id from sources')
  const events = [{ tStartMs: 0, dDurationMs: 5000, segs: [{ utf8: 'Hello there, all of you' }] }]
  writeFileSync(join(folder, 'a.en.json3'), JSON.stringify({ wireMagic: 'pb3', events }))
  const { report } = await captionsInProcess(url, [folder])
  t.match(report, { ok: true, files: 1, sources: { added: 0, changed: 1 } })
  t.match(await queryRows(url, 'select id from sources'), [{ id: before?.id }])
  t.match(await queryRows(url, 'select path from ingested_files'), [{ path: /json3$/ }])
})

t.test('a file that moves keeps its source when it has an address', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({
    old: {
      'a.vtt': talk(0),
      'a.info.json': JSON.stringify({ webpage_url: 'https://example.org/a', title: 'A' }),
    },
    'b.vtt': talk(100),
  })
  await captionsInProcess(url, [folder])
  const before = await segmentsOf(url, 'A')
  renameSync(join(folder, 'old'), join(folder, 'new'))
  const dry = await captionsInProcess(url, [folder], { prune: true, dryRun: true })
  t.match(dry.report, { ok: true, sources: { removed: 0, unchanged: 2 } }, 'a dry run says so')
  const { report } = await captionsInProcess(url, [folder], { prune: true })
  t.match(report, { ok: true, sources: { added: 0, changed: 0, removed: 0, unchanged: 2 } })
  t.same(await segmentsOf(url, 'A'), before)
})

t.test('a file that becomes another source replaces the one it was', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.vtt': talk(0), 'b.vtt': talk(100) })
  await captionsInProcess(url, [folder])
  writeFileSync(
    join(folder, 'a.info.json'),
    JSON.stringify({ webpage_url: 'https://example.org/a', title: 'Named' }),
  )
  const dry = await captionsInProcess(url, [folder], { dryRun: true })
  const { report } = await captionsInProcess(url, [folder])
  t.match(report, { sources: { added: 1, removed: 1 }, segments: { added: 6, removed: 6 } })
  t.same(dry.report.sources, report.sources, 'a dry run says so')
  t.match(await queryRows(url, 'select title from sources order by title'), [
    { title: 'B' },
    { title: 'Named' },
  ])
  t.match(await queryRows(url, 'select count(*)::int from segments'), [{ count: 12 }])
})

t.test('prune', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({
    here: { 'a.vtt': talk(0), 'b.vtt': talk(100), 'c.vtt': talk(200) },
    there: { 'd.vtt': talk(300) },
  })
  await captionsInProcess(url, [folder])
  const count = async (): Promise<unknown> =>
    (await queryRows(url, 'select title from sources order by 1')).map(({ title }) => title as unknown)

  rmSync(join(folder, 'here/a.vtt'))
  rmSync(join(folder, 'there/d.vtt'))
  const kept = await captionsInProcess(url, [folder])
  t.match(kept.report, { ok: true, sources: { removed: 0 } }, 'not without being asked')
  const dry = await captionsInProcess(url, [join(folder, 'here')], { prune: true, dryRun: true })
  t.match(dry.report, { ok: true, sources: { removed: 1 }, segments: { removed: 6 } })
  t.same(await count(), ['A', 'B', 'C', 'D'])
  const pruned = await captionsInProcess(url, [join(folder, 'here')], { prune: true })
  t.match(pruned.report, { ok: true, sources: { removed: 1, unchanged: 2 }, segments: { removed: 6 } })
  t.same(await count(), ['B', 'C', 'D'], 'only under the given paths')
  t.match(await queryRows(url, 'select count(*)::int from ingested_files'), [{ count: 3 }])
  t.match(await queryRows(url, 'select count(*)::int from tombstones'), [{ count: 6 }])

  rmSync(join(folder, 'here'), { recursive: true })
  mkdirSync(join(folder, 'here'))
  const refused = await captionsInProcess(url, [join(folder, 'here')], { prune: true })
  t.match(refused.report, { ok: false, sources: { removed: 0 }, failures: [{ code: 'PRUNE_REFUSED' }] })
  t.same(await count(), ['B', 'C', 'D'], 'an empty folder may be a disk that is not there')
  rmSync(join(folder, 'here'), { recursive: true })
  const gone = await captionsInProcess(url, [join(folder, 'here')], { prune: true, yes: true })
  t.match(gone.report, { ok: true, sources: { removed: 2 } }, 'the folder itself may be gone')
  t.same(await count(), ['D'])
})

t.test('a dry run counts and writes nothing', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.vtt': talk(0), 'b.vtt': talk(100) })
  const before = await rowPlaces(url)
  const { report } = await captionsInProcess(url, [folder], { dryRun: true })
  t.match(report, { dryRun: true, sources: { added: 2 }, segments: { added: 12 }, generation: null })
  t.same(await rowPlaces(url), before)
})

t.test('the order of the paths makes no difference', async (t) => {
  const folder = t.testdir({ a: { 'a.vtt': talk(0) }, b: { 'b.vtt': talk(100) } })
  const [one, other] = [await createDatabase(t, 'primary'), await createDatabase(t, 'primary')]
  await captionsInProcess(one, [join(folder, 'a'), join(folder, 'b')])
  await captionsInProcess(other, [join(folder, 'b'), join(folder, 'a')])
  t.same(await storedContent(other), await storedContent(one))
})

t.test('the speech itself may be hostile', async (t) => {
  const url = await createDatabase(t, 'primary')
  const text = `Robert'); drop table segments; -- 😀 \\ {"a":"\\u0000"} ${'long '.repeat(300)}`
  const folder = t.testdir({
    'a.md': `**O'Neil "Bob" 😀:** ${text}\n`,
    'b.info.json': JSON.stringify({ id: 'b', title: 'a \ud800 b' }),
    'b.vtt': talk(0, 1),
  })
  const { report } = await captionsInProcess(url, [folder])
  t.match(report, { ok: true, sources: { added: 2 } })
  t.match(await queryRows(url, 'select distinct speaker from segments where speaker is not null'), [
    { speaker: `O'Neil "Bob" 😀` },
  ])
  t.match(await queryRows(url, `select title from sources where title like 'a%b'`), [{ title: 'a \ufffd b' }])
})
