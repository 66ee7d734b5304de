import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { hashInput, segmentIds, sourceId, sourceIdentity } from '../../ingest/identity.ts'

const said = { startMs: 0, endMs: 10, speaker: 'Ann', text: 'yes', chapter: null }

t.test('a source is its address, else its id, else its path', async (t) => {
  const all = { url: 'https://example.org/v', id: 'v', realPath: '/talks/a.vtt' }
  t.equal(sourceIdentity(all), 'url https://example.org/v')
  t.equal(sourceIdentity({ ...all, url: null }), 'id v')
  t.equal(sourceIdentity({ ...all, url: null, id: null }), 'path /talks/a.vtt')
  // The ids in databases that exist: this must not change.
  t.equal(sourceId('id v'), '-7155700067302949080')
})

t.test('an id of a segment depends on what is said, when and by whom, not on its place', async (t) => {
  const [first] = segmentIds('1', [said])
  t.same(segmentIds('1', [{ ...said, text: 'no' }, said])[1], first)
  for (const other of [
    { ...said, startMs: 1 },
    { ...said, endMs: 11 },
    { ...said, endMs: null },
    { ...said, speaker: null },
    { ...said, text: 'yes.' },
    { ...said, chapter: 'Intro' },
  ]) {
    t.not(segmentIds('1', [other])[0], first, JSON.stringify(other))
  }
  t.not(segmentIds('2', [said])[0], first, 'another source')
})

t.test('the same said again is another segment', async (t) => {
  const ids = segmentIds('1', [said, said, said])
  t.equal(new Set(ids).size, 3)
  t.same(segmentIds('1', [said, said]), ids.slice(0, 2), 'and keeps its id')
})

t.test('the hash of an input covers the transcript and its metadata', async (t) => {
  const folder = t.testdir({ 'a.vtt': 'one', 'a.info.json': '{}', 'b.vtt': 'one{}', 'empty.json': '' })
  const hash = async (path: string, metadata: string | null): Promise<string> =>
    (
      await hashInput({
        path: join(folder, path),
        metadataPath: metadata === null ? null : join(folder, metadata),
      })
    ).toString('hex')
  const before = await hash('a.vtt', 'a.info.json')
  t.equal(before.length, 64)
  t.equal(await hash('a.vtt', 'a.info.json'), before)
  const others = [
    await hash('a.vtt', null),
    await hash('b.vtt', null),
    await hash('a.vtt', 'empty.json'),
    await hash('b.vtt', 'empty.json'),
  ]
  t.equal(new Set([before, ...others]).size, 5, 'bytes do not move from one file to the other')
  writeFileSync(join(folder, 'a.info.json'), '{"title":"x"}')
  t.not(await hash('a.vtt', 'a.info.json'), before)
})
