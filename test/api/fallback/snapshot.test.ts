import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Collection, type SegmentRecord } from '../../../api/fallback/collection.ts'
import { removeLeftovers } from '../../../api/fallback/faiss-engine.ts'
import { Lexicon } from '../../../api/fallback/lexicon.ts'
import { createPause } from '../../../api/fallback/pause.ts'
import { encodeRow } from '../../../api/fallback/row-store.ts'
import { unitQuery } from '../../../api/fallback/scan-engine.ts'
import { loadSnapshot, saveSnapshot } from '../../../api/fallback/snapshot.ts'
import { readSnapshotFile, writeSnapshotFile } from '../../../api/fallback/snapshot-file.ts'
import { weighTerms } from '../../../api/search/terms.ts'
import { toHalves } from '../../../core/vector.ts'
import { countTerms } from '../../../core/words.ts'
import { randomNumbers, randomVector } from './fixture.ts'

const dimensions = 6
const watermark = { segments: 900, embeddings: 901, tombstones: 902 }

function record(id: string, random: () => number): SegmentRecord {
  const text = Array.from({ length: 12 }, () => 'abcdefgh'[Math.floor(random() * 8)]!.repeat(3)).join(' ')
  const row = encodeRow({
    sourceId: '7',
    startMs: 0,
    endMs: 1000,
    chapter: null,
    speaker: 'Ann',
    text,
    turns: [{ speaker: 'Ann', offset: 0, startMs: 0 }],
    wordStartsMs: [0, 5],
  })
  const halves = toHalves(randomVector(random, dimensions))
  return { id, changeSeq: 5, row, words: countTerms(text), vector: { halves, changeSeq: 6 } }
}

/** A base, a tail and dead rows in both. */
async function someCollection(): Promise<Collection> {
  const random = randomNumbers(4)
  const loading = new Collection({
    generation: {
      id: 3,
      name: 'lsa-3',
      kind: 'lsa',
      fingerprint: 'f',
      dimensions,
      wordsWeight: 0.8,
      vectorWeight: 0.2,
    },
    basis: {
      dimensions,
      terms: Int32Array.of(-5, 9),
      basis: toHalves(randomVector(random, 2 * dimensions)),
    },
    sources: {
      byId: new Map([
        [
          '7',
          {
            id: '7',
            kind: 'video',
            url: 'https://example.org/v',
            title: 'Ein Titel',
            channel: null,
            publishedAt: new Date('2026-01-02T03:04:05Z'),
            durationMs: 60_000,
          },
        ],
      ]),
      sum: 12345678901234567890n,
    },
    statistics: {
      documents: 30,
      averageLength: 12.5,
      countedAtMs: 77,
      lexicon: new Lexicon(Int32Array.of(-3, 4), Int32Array.of(5, 6)),
    },
    asOf: new Date('2026-02-03T04:05:06.789Z'),
  })
  for (let at = 0; at < 30; at++) loading.put(record(String(-(2n ** 63n) + BigInt(at)), random))
  const collection = await loading.compact(createPause())
  collection.remove(collection.ids[3]!)
  for (let at = 0; at < 5; at++) collection.put(record(`10${at}`, random))
  collection.put({ ...record('200', random), words: null, vector: null })
  collection.remove('102')
  return collection
}

function answers(collection: Collection) {
  const query = unitQuery(randomVector(randomNumbers(8), dimensions))!
  const scores = new Float64Array(collection.rowCount)
  collection.scoreWords(weighTerms('aaa ddd', collection.statistics), scores)
  return collection.ids.map((id, position) => ({
    id,
    alive: collection.isAlive(position),
    words: scores[position],
    vector: collection.cosine(query, position),
    row: collection.rows.read(position),
  }))
}

t.test('what is saved comes back', async (t) => {
  const path = join(t.testdir(), 'folder', 'snapshot')
  const saved = await someCollection()
  await saveSnapshot(path, saved, watermark)
  t.same(readdirSync(join(t.testdirName, 'folder')), ['snapshot'])
  t.equal(statSync(path).mode & 0o077, 0, 'nobody else may read it')
  const loaded = (await loadSnapshot(path))!
  t.same(loaded.watermark, watermark)
  const { collection } = loaded
  t.same(answers(collection), answers(saved))
  for (const key of ['generation', 'basis', 'sources', 'statistics', 'asOf', 'size', 'wordless'] as const) {
    t.same(collection[key], saved[key], key)
  }
  // And it goes on from there.
  collection.put(record('300', randomNumbers(1)))
  collection.remove('200')
  const compacted = await collection.compact(createPause())
  t.same(
    answers(compacted),
    answers(collection).filter(({ alive }) => alive),
  )
  await saveSnapshot(path, compacted, watermark)
  t.same(answers((await loadSnapshot(path))!.collection), answers(compacted))
})

t.test('no file is no snapshot', async (t) => {
  t.equal(await loadSnapshot(join(t.testdir(), 'snapshot')), undefined)
})

t.test('every damaged byte is found', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'snapshot')
  await saveSnapshot(path, await someCollection(), watermark)
  const bytes = readFileSync(path)
  const damaged = join(folder, 'damaged')
  let refusals = 0
  // All of the first bytes, and after that every kind of byte: sections, rows, manifest.
  for (let at = 0; at < bytes.length; at += at < 64 ? 1 : 31) {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1 << (at % 8)
    writeFileSync(damaged, copy)
    await loadSnapshot(damaged).then(
      () => t.fail(`byte ${at} of ${bytes.length} was not noticed`),
      (error: { code: string }) => {
        if (error.code === 'SNAPSHOT_REFUSED') refusals++
        else t.fail(`byte ${at}: ${error.code}`)
      },
    )
  }
  t.ok(refusals > 200, `${refusals} damaged files refused`)

  for (const length of [0, 1, 7, 63, 64, 65, 1000, bytes.length >> 1, bytes.length - 1]) {
    writeFileSync(damaged, bytes.subarray(0, length))
    await t.rejects(loadSnapshot(damaged), { code: 'SNAPSHOT_REFUSED' }, `cut to ${length}`)
  }
  writeFileSync(damaged, Buffer.concat([bytes, Buffer.from([0])]))
  await t.rejects(loadSnapshot(damaged), { code: 'SNAPSHOT_REFUSED' }, 'one byte more')
  const zeros = Buffer.from(bytes).fill(0, 200)
  writeFileSync(damaged, zeros)
  await t.rejects(loadSnapshot(damaged), { code: 'SNAPSHOT_REFUSED' }, 'a hole')
  await t.rejects(loadSnapshot(folder), { code: 'SNAPSHOT_REFUSED' }, 'a folder')
})

t.test('another version, other dimensions, parts that do not fit', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'snapshot')
  await saveSnapshot(path, await someCollection(), watermark)
  const version = readFileSync(path)
  version.writeUInt32LE(2, 8)
  writeFileSync(join(folder, 'other'), version)
  await t.rejects(loadSnapshot(join(folder, 'other')), {
    code: 'SNAPSHOT_REFUSED',
    message: /version 2, not 1/,
  })

  // Whole files with sound checksums that say something else.
  const file = (await readSnapshotFile(path))!
  const names = readFileSync(path, 'latin1')
    .match(/"name":"(\w+)"/g)!
    .map((found) => found.slice(8, -1))
  const sections = (without?: string) =>
    names
      .filter((name) => name !== without)
      .map((name) => ({ name, chunks: [file.section(name)] as Uint8Array[] }))
  const facts = file.facts as { model: object; dimensions: number; rows: number; base: number }
  for (const wrong of [
    { ...facts, dimensions: 5 },
    { ...facts, dimensions: 5, model: { ...facts.model, dimensions: 5 } },
    { ...facts, rows: facts.rows - 1 },
    { ...facts, base: facts.base + 1 },
  ]) {
    await writeSnapshotFile(path, sections(), wrong)
    await t.rejects(loadSnapshot(path), { code: 'SNAPSHOT_REFUSED' })
  }
  await writeSnapshotFile(path, sections('entries'), facts)
  await t.rejects(loadSnapshot(path), { code: 'SNAPSHOT_REFUSED', message: /entries is missing/ })
  await writeSnapshotFile(path, sections(), facts)
  t.ok(await loadSnapshot(path), 'and as it was it is taken')
})

t.test('kill -9 while writing leaves a whole file', async (t) => {
  const path = join(t.testdir(), 'snapshot')
  for (const delayMs of [3, 11, 29]) {
    const writer = spawn(
      process.execPath,
      [
        '--import',
        import.meta.resolve('tsx'),
        fileURLToPath(new URL('snapshot-writer.ts', import.meta.url)),
        path,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    await new Promise((resolve) => writer.stdout.once('data', resolve))
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    writer.kill('SIGKILL')
    await new Promise((resolve) => writer.once('exit', resolve))
    const { round } = (await readSnapshotFile(path))!.facts as { round: number }
    const bytes = (await readSnapshotFile(path))!.section('bytes')
    t.ok(bytes.equals(Buffer.alloc(8 << 20, round & 0xff)), `whole, of round ${round}`)
  }
  await removeLeftovers(path)
  t.same(readdirSync(t.testdirName), ['snapshot'], 'nothing half-written stays')
})

t.test('a snapshot that cannot be written leaves the old one', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'snapshot')
  await writeSnapshotFile(path, [], { round: 1 })
  copyFileSync(path, join(folder, 'before'))
  const failing = function* () {
    yield new Uint8Array(5 << 20)
    throw new Error('the disk is full')
  }
  await t.rejects(writeSnapshotFile(path, [{ name: 'x', chunks: failing() }], {}), {
    message: 'the disk is full',
  })
  t.ok(readFileSync(path).equals(readFileSync(join(folder, 'before'))))
  t.notOk(existsSync(`${path}.writing-${process.pid}`))
})
