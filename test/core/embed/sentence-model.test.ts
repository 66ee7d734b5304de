import { appendFile, copyFile, cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { WorkerSettings } from '../../../core/embed/onnx-protocol.ts'
import { loadSentenceModel, type SentenceModel } from '../../../core/embed/sentence-model.ts'
import {
  tinyDimensions,
  tinyMaxTokens,
  tinyVector,
  tinyVocabulary,
  writeTinyModel,
} from '../../support/tiny-onnx-model.ts'

// In this thread, one after the other: what the worker around it adds is in onnx.test.ts.
const folder = join(t.testdir({ model: {} }), 'model')
await writeTinyModel(folder)

async function open(t: Test, options: Partial<WorkerSettings> = {}): Promise<SentenceModel> {
  const prefixes = { queryPrefix: '', passagePrefix: '' }
  const defaults = { model: folder, pooling: 'mean', batch: 4, cacheFolder: 'none', ...prefixes } as const
  const model = await loadSentenceModel({ ...defaults, ...options })
  t.teardown(() => model.close())
  return model
}

async function embed(model: SentenceModel, texts: readonly string[]): Promise<Float32Array[]> {
  const values = await model.embed(texts)
  return texts.map((_, at) => values.slice(at * model.dimensions, (at + 1) * model.dimensions))
}

async function embedOne(model: SentenceModel, text: string): Promise<Float32Array> {
  return (await embed(model, [text]))[0] ?? new Float32Array(0)
}

/** What the model should say of these tokens, worked out without it. */
function expected(tokens: readonly string[]): number[] {
  const sum = Array.from({ length: tinyDimensions }, (_, at) =>
    tokens.reduce((total, token) => total + (tinyVector(tinyVocabulary.indexOf(token))[at] ?? 0), 0),
  )
  const length = Math.hypot(...sum)
  return sum.map((value) => value / length)
}

const apart = (found: ArrayLike<number>, wanted: readonly number[]) =>
  Math.max(...wanted.map((value, at) => Math.abs(value - (found[at] ?? NaN))))

t.test('mean, cls and last pooling of what the model says', async (t) => {
  const tokens = ['[CLS]', 'postgres', 'slot', '##s', 'lag', '[SEP]']
  const picked = { mean: tokens, cls: tokens.slice(0, 1), last: tokens.slice(-1) }
  for (const pooling of ['mean', 'cls', 'last'] as const) {
    const model = await open(t, { pooling })
    t.equal(model.dimensions, tinyDimensions)
    const found = await embedOne(model, 'Postgres SLOTS lag')
    t.ok(apart(found, expected(picked[pooling])) < 1e-6, pooling)
  }
})

t.test('batches of texts of any length come back in order, as each alone', async (t) => {
  const model = await open(t, { batch: 3 })
  const texts = [
    'lag',
    'the primary and the cloud in postgres',
    '',
    'disk',
    'a slow relay to the cloud',
    'fast',
  ]
  const together = await embed(model, texts)
  t.equal(together.length, texts.length)
  for (const [at, text] of texts.entries()) {
    const alone = await embedOne(model, text)
    t.ok(apart(together[at] ?? [], [...alone]) < 1e-6, `"${text}"`)
    t.ok(Math.abs(Math.hypot(...(together[at] ?? [])) - 1) < 1e-6)
  }
  t.same(await embed(model, []), [])
})

t.test('a long text is cut to what the model takes, and keeps its closing token', async (t) => {
  const text = 'replication '.repeat(500)
  const kept = Array<string>(tinyMaxTokens - 2).fill('replication')
  const mean = await open(t)
  t.ok(apart(await embedOne(mean, text), expected(['[CLS]', ...kept, '[SEP]'])) < 1e-6)
  const last = await open(t, { pooling: 'last' })
  t.ok(apart(await embedOne(last, text), expected(['[SEP]'])) < 1e-6)
})

t.test('the fingerprint is of the content: a copy is the same model, other weights are not', async (t) => {
  const dir = t.testdir({ copy: {}, pooled: {}, changed: {}, flat: {} })
  const original = await open(t)
  t.match(original.fingerprint, /^[0-9a-f]{64}$/)
  await cp(folder, join(dir, 'copy'), { recursive: true })
  t.equal((await open(t, { model: join(dir, 'copy'), batch: 1 })).fingerprint, original.fingerprint)
  for (const other of [
    { pooling: 'cls' },
    { queryPrefix: 'query: ' },
    { passagePrefix: 'query: ' },
  ] as const) {
    t.not((await open(t, other)).fingerprint, original.fingerprint, JSON.stringify(other))
  }
  await cp(folder, join(dir, 'changed'), { recursive: true })
  const weights = join(dir, 'changed/onnx/model.onnx')
  const bytes = await readFile(weights)
  const one = bytes.indexOf(Buffer.from(Float32Array.of(tinyVector(20)[3] ?? 0).buffer))
  t.ok(one > 0)
  bytes.writeFloatLE(0.5, one)
  await writeFile(weights, bytes)
  t.not((await open(t, { model: join(dir, 'changed') })).fingerprint, original.fingerprint)
  // As optimum-cli exports it: the weights beside config.json.
  await writeTinyModel(join(dir, 'flat'), { weights: 'model.onnx' })
  t.equal((await open(t, { model: join(dir, 'flat') })).fingerprint, original.fingerprint)
})

t.test('models that are not there or not models', async (t) => {
  const dir = t.testdir({ empty: {}, half: {}, damaged: {}, other: {} })
  const notFound = { code: 'MODEL_NOT_FOUND', exitCode: 2, hint: /EMBEDDING_MODEL/ }
  await t.rejects(open(t, { model: join(dir, 'nowhere') }), notFound)
  await t.rejects(open(t, { model: join(dir, 'empty') }), { ...notFound, message: /no config\.json/ })
  await writeTinyModel(join(dir, 'half'))
  await rm(join(dir, 'half/onnx/model.onnx'))
  await t.rejects(open(t, { model: join(dir, 'half') }), { ...notFound, message: /no onnx.model\.onnx/ })
  // Not a name the hub could have, so nothing is asked.
  await t.rejects(open(t, { model: 'no such model' }), notFound)
  await writeTinyModel(join(dir, 'damaged'))
  await writeFile(join(dir, 'damaged/onnx/model.onnx'), 'not a model')
  await t.rejects(open(t, { model: join(dir, 'damaged') }), { code: 'MODEL_UNREADABLE', exitCode: 2 })
  await copyFile(join(folder, 'onnx/model.onnx'), join(dir, 'damaged/onnx/model.onnx'))
  await appendFile(join(dir, 'damaged/tokenizer.json'), '}')
  await t.rejects(open(t, { model: join(dir, 'damaged') }), { code: 'MODEL_UNREADABLE' })
  await writeTinyModel(join(dir, 'other'), { output: 'logits' })
  await t.rejects(open(t, { model: join(dir, 'other') }), { code: 'MODEL_OUTPUT', message: /logits/ })
})

t.test('a number that is none is an error, and the next text is answered', async (t) => {
  const model = await open(t)
  await t.rejects(embedOne(model, 'a broken disk'), { code: 'MODEL_OUTPUT' })
  t.ok(apart(await embedOne(model, 'disk'), expected(['[CLS]', 'disk', '[SEP]'])) < 1e-6)
})
