import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { seedContent } from '../../support/content.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { fallbackOn, idsFor, nowhere, sources, started } from './database-fixture.ts'
import { until } from './fixture.ts'

t.test('started without a database: from the snapshot', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 3), model: { id: 1, dimensions: 8 }, beatAgeSeconds: 60 })
  const before = await started(t, url)
  const request = { query: 'postgres slot', limit: 20, offset: 0 }
  const expected = await before.index.search(request)
  await before.stop()

  const after = fallbackOn(t, nowhere, { engine: 'auto' })
  await after.start()
  t.match(after.status(), { ready: true, segments: 36, modelId: 1 })
  t.same(await after.index.search(request), expected)
  await t.rejects(after.refresh(), { code: 'ECONNREFUSED' })
  t.match(after.status(), { ready: true, lastError: 'ECONNREFUSED' })
  t.same((await after.index.search(request)).asOf, expected.asOf, 'no younger than it is')

  // And with the database there, what happened meanwhile is found at the first turn, deletions too.
  await queryRows(url, 'delete from segments where id = 1000')
  await queryRows(url, 'delete from tombstones')
  const again = await started(t, url)
  t.equal(again.status().segments, 35)
})

t.test('started with neither: not ready, and ready once the database is there', async (t) => {
  t.testdir()
  const fallback = fallbackOn(t, nowhere)
  await fallback.start()
  const request = { query: 'postgres', limit: 20, offset: 0 }
  await t.rejects(fallback.index.search(request), { code: 'MEMORY_NOT_READY' })
  t.match(fallback.status(), { ready: false, segments: 0, asOf: null })

  const url = await createDatabase(t, 'cloud')
  const empty = await started(t, url, { snapshotPath: join(t.testdirName, 'empty') })
  await t.rejects(empty.index.search(request), { code: 'MEMORY_NOT_READY' }, 'nothing is no answer either')
  await seedContent(url, { sources: sources(1, 1, 1), model: { id: 1, dimensions: 8 } })
  await empty.refresh()
  t.ok((await idsFor(empty, 'postgres')).length > 0)
})

t.test('a damaged snapshot is refused and written anew', async (t) => {
  const folder = t.testdir({ snapshot: 'HOMEPORT and then nothing' })
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 1) })
  const offline = fallbackOn(t, nowhere)
  await offline.start()
  t.match(offline.status(), { ready: false, lastError: 'SNAPSHOT_REFUSED' })
  await offline.stop()
  const fallback = await started(t, url)
  t.equal(fallback.status().segments, 12)
  await fallback.stop()
  t.same(readdirSync(folder), ['snapshot'])
  const restored = fallbackOn(t, nowhere)
  await restored.start()
  t.equal(restored.status().segments, 12)
})

t.test('a folder that cannot be written costs the snapshot, not the answers', async (t) => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'file'), '')
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 1), model: { id: 1, dimensions: 8 } })
  const fallback = await started(t, url, { snapshotPath: join(folder, 'file', 'snapshot'), engine: 'auto' })
  t.match(fallback.status(), { ready: true, segments: 12, engine: 'scan', unsaved: String })
  // Nothing new arrives, and still the file is written once it can be.
  rmSync(join(folder, 'file'))
  await fallback.stop()
  t.equal(fallback.status().unsaved, undefined)
  t.ok(existsSync(join(folder, 'file', 'snapshot')))
})

t.test('it follows on its own, and says what it is', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 1) })
  const seen: number[] = []
  const fallback = fallbackOn(t, url, {
    refreshSeconds: 0.05,
    onStatus: (status) => seen.push(status.segments),
  })
  await fallback.start()
  await until(() => fallback.status().segments === 12, 'loaded')
  await seedContent(url, { sources: sources(2, 2, 1) })
  await until(() => fallback.status().segments === 24, 'followed')
  // Told just after it shows in the status.
  await until(() => seen.at(-1) === 24, 'told')
  await fallback.stop()
  t.ok(existsSync(join(t.testdirName, 'snapshot')))
})
