import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createFaissEngine, removeLeftovers } from '../../../api/fallback/faiss-engine.ts'
import { flatIndexHeader, writeFlatIndex } from '../../../api/fallback/flat-index.ts'
import { createScanEngine, unitQuery } from '../../../api/fallback/scan-engine.ts'
import { TopK } from '../../../api/fallback/top-k.ts'
import type { VectorEngine, VectorTable } from '../../../api/fallback/vector-engine.ts'
import { halves } from '../../../core/vector.ts'
import { isAlive, noFaiss, randomNumbers, randomTable, randomVector, silent, until } from './fixture.ts'

/** Cosine of every row, straight from the definition, best first. */
function bruteForce(table: VectorTable, query: Float32Array): { position: number; score: number }[] {
  const values = halves()
  return Array.from({ length: table.count }, (_, position) => {
    let product = 0
    let squares = 0
    for (let at = 0; at < table.dimensions; at++) {
      const value = values[table.halves[position * table.dimensions + at]!]!
      product += value * query[at]!
      squares += value * value
    }
    return { position, score: squares > 0 ? product / Math.sqrt(squares) : -Infinity }
  }).sort((a, b) => b.score - a.score)
}

function queryOf(table: VectorTable, seed: number): Float32Array {
  return unitQuery(randomVector(randomNumbers(seed), table.dimensions))!
}

t.test('the heap keeps the best, ties by what comes first', async (t) => {
  const random = randomNumbers(7)
  for (let round = 0; round < 50; round++) {
    const scores = Array.from({ length: 60 }, () => Math.floor(random() * 10))
    const k = Math.floor(random() * 70)
    const top = new TopK(k)
    scores.forEach((score, position) => top.offer(position, score))
    const wanted = scores
      .map((score, position) => ({ score, position }))
      .sort((a, b) => b.score - a.score || a.position - b.position)
      .slice(0, k)
    t.same(
      top.best().positions,
      wanted.map(({ position }) => position),
    )
  }
})

/** What every engine must do. */
async function behaves(t: Test, make: () => VectorEngine): Promise<void> {
  const table = randomTable(700, 24, 3, [0, 5, 699])
  const engine = make()
  t.teardown(() => engine.close())
  await engine.load(table)
  for (let seed = 10; seed < 20; seed++) {
    const query = queryOf(table, seed)
    const expected = bruteForce(table, query).slice(0, 15)
    const found = await engine.search(query, 15)
    t.same(
      found.positions,
      expected.map(({ position }) => position),
    )
    found.scores.forEach((score, at) => t.ok(Math.abs(score - expected[at]!.score) < 1e-5))
  }
  const query = queryOf(table, 1)
  t.same((await engine.search(query, 0)).positions, [], 'k = 0')
  const all = await engine.search(query, 5_000)
  t.ok(all.positions.length >= 697 && all.positions.length <= 700, 'k > rows')
  t.ok(
    all.positions.every((position) => position >= 0 && position < 700),
    'no label is -1',
  )

  const empty = make()
  t.teardown(() => empty.close())
  await empty.load(randomTable(0, 24))
  t.same((await empty.search(query, 10)).positions, [], 'nothing in an empty index')
}

t.test('scan', (t) => behaves(t, createScanEngine))

t.test('scan over lengths that are no multiple of four', async (t) => {
  for (const dimensions of [1, 2, 3, 5, 7]) {
    const table = randomTable(40, dimensions, dimensions)
    const engine = createScanEngine()
    await engine.load(table)
    const query = queryOf(table, 9)
    const found = await engine.search(query, 40)
    const expected = bruteForce(table, query)
    t.equal(found.positions.length, 40)
    found.scores.forEach((score, at) => t.ok(Math.abs(score - expected[at]!.score) < 1e-5))
  }
})

t.test('a query of zeros is near nothing', async (t) => {
  t.equal(unitQuery(new Float32Array(3)), undefined)
})

t.test('faiss', { skip: noFaiss }, async (t) => {
  const path = join(t.testdir(), 'snapshot')
  const engines: VectorEngine[] = []
  await behaves(t, () => {
    const engine = createFaissEngine({ path, log: silent })
    engines.push(engine)
    return engine
  })
  t.same(
    engines.map((engine) => engine.kind),
    ['faiss', 'faiss'],
    'it was FAISS that answered',
  )
  t.same(readdirSync(t.testdirName), [], 'the files it was loaded from are gone')
})

t.test('kill -9 during searches: none fails, and the process comes back', { skip: noFaiss }, async (t) => {
  const engine = createFaissEngine({ path: join(t.testdir(), 'snapshot'), log: silent })
  t.teardown(() => engine.close())
  const table = randomTable(3_000, 32)
  await engine.load(table)
  const query = queryOf(table, 2)
  const expected = bruteForce(table, query)
    .slice(0, 10)
    .map(({ position }) => position)
  const first = engine.pid!
  const searches = Array.from({ length: 200 }, (_, at) => {
    if (at === 100) process.kill(first, 'SIGKILL')
    return engine.search(query, 10)
  })
  for (const { positions } of await Promise.all(searches)) t.same(positions, expected)
  t.equal(engine.kind, 'scan', 'the scan took over')
  await until(() => engine.kind === 'faiss', 'FAISS is back')
  t.not(engine.pid, first)
  t.same((await engine.search(query, 10)).positions, expected)
})

t.test('a process that hangs is given up', { skip: noFaiss }, async (t) => {
  const engine = createFaissEngine({ path: join(t.testdir(), 'snapshot'), log: silent })
  t.teardown(() => engine.close())
  const table = randomTable(100, 8)
  await engine.load(table)
  const stopped = engine.pid!
  process.kill(stopped, 'SIGSTOP')
  const query = queryOf(table, 2)
  t.equal((await engine.search(query, 5)).positions.length, 5)
  await until(() => !isAlive(stopped), 'the stopped process is gone')
})

t.test('a C++ exception ends the process, not the api', { skip: noFaiss }, async (t) => {
  let broken = 0
  const engine = createFaissEngine({
    path: join(t.testdir(), 'snapshot'),
    log: silent,
    async write(path) {
      broken++
      // Asks for a vector longer than any memory: std::length_error, which nothing catches.
      const header = flatIndexHeader(10, 8)
      header.writeBigUInt64LE(2n ** 38n, 37)
      await writeFile(path, header)
    },
  })
  await t.rejects(engine.load(randomTable(10, 8)), { code: /^FAISS_(CRASHED|UNAVAILABLE)$/ })
  t.equal(broken, 1)
  t.equal(engine.kind, 'scan')
  await engine.close()
})

t.test('an exception after a sound start', { skip: noFaiss }, async (t) => {
  const engine = createFaissEngine({ path: join(t.testdir(), 'snapshot'), log: silent })
  t.teardown(() => engine.close())
  const table = randomTable(50, 8)
  await engine.load(table)
  const before = engine.pid!
  process.kill(before, 'SIGABRT')
  t.equal((await engine.search(queryOf(table, 2), 5)).positions.length, 5)
  await until(() => engine.pid !== undefined && engine.pid !== before, 'a new process')
})

t.test('the process ends with the api', { skip: noFaiss }, async (t) => {
  const parent = spawn(
    process.execPath,
    [
      '--import',
      import.meta.resolve('tsx'),
      fileURLToPath(new URL('engine-holder.ts', import.meta.url)),
      join(t.testdir(), 'snapshot'),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.setEncoding('utf8').once('data', (text: string) => resolve(Number(text))),
  )
  t.ok(isAlive(pid))
  parent.kill('SIGKILL')
  await until(() => !isAlive(pid), 'the FAISS process is gone')
})

t.test('files of processes that are gone are removed, others are not', async (t) => {
  const gone = 2 ** 22 + 1
  const folder = t.testdir({
    [`snapshot.vectors-${gone}-0a1b`]: '',
    [`snapshot.writing-${gone}`]: '',
    [`snapshot.vectors-${process.pid}-0a1b`]: '',
    [`other.vectors-${gone}-0a1b`]: '',
    snapshot: '',
    'snapshot.writing-notes': '',
  })
  await removeLeftovers(join(folder, 'snapshot'))
  t.same(readdirSync(folder).sort(), [
    `other.vectors-${gone}-0a1b`,
    'snapshot',
    `snapshot.vectors-${process.pid}-0a1b`,
    'snapshot.writing-notes',
  ])
})

t.test('an index file is never written over another', async (t) => {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, 'mine')
  await t.rejects(writeFlatIndex(path, randomTable(1, 2)), { code: 'EEXIST' })
})
