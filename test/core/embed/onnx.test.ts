import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { createOnnxEmbedder, type OnnxEmbedder, type OnnxOptions } from '../../../core/embed/onnx.ts'
import { tinyDimensions, tinyVector, tinyVocabulary, writeTinyModel } from '../../support/tiny-onnx-model.ts'

const folder = join(t.testdir({ model: {} }), 'model')
await writeTinyModel(folder)

async function open(t: Test, options: Partial<OnnxOptions> = {}): Promise<OnnxEmbedder> {
  const defaults = { model: folder, pooling: 'mean', queryPrefix: '', passagePrefix: '', batch: 4 } as const
  const embedder = await createOnnxEmbedder({ ...defaults, ...options })
  t.teardown(() => embedder.close())
  return embedder
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

t.test(
  'questions and segments through the worker, in order, many at once, each with its prefix',
  async (t) => {
    const embedder = await open(t, { queryPrefix: 'query: ', passagePrefix: 'passage: ', batch: 2 })
    t.match(embedder, { kind: 'onnx', dimensions: tinyDimensions, fingerprint: /^[0-9a-f]{64}$/ })
    const words = ['lag', 'disk', 'fast', 'slow', 'relay']
    const [segments, ...questions] = await Promise.all([
      embedder.embedSegments(words),
      ...words.map((text) => embedder.embedQuery(text)),
    ])
    words.forEach((word, at) => {
      t.ok(apart(segments[at] ?? [], expected(['[CLS]', 'passage', ':', word, '[SEP]'])) < 1e-6, word)
      t.ok(apart(questions[at] ?? [], expected(['[CLS]', 'query', ':', word, '[SEP]'])) < 1e-6, word)
    })
    t.same(await embedder.embedSegments([]), [])
    await t.rejects(embedder.embedSegments(['broken']), { code: 'MODEL_OUTPUT' })
    t.ok(await embedder.embedQuery('disk'), 'an error ends nothing')
  },
)

t.test('another dimension than the generation has is refused', async (t) => {
  await t.rejects(open(t, { expectedDimensions: 384 }), {
    code: 'MODEL_DIMENSION',
    message: /16 dimensions, not 384/,
    exitCode: 2,
  })
})

t.test('a model that is not there is named with what to do', async (t) => {
  await t.rejects(open(t, { model: join(folder, 'nowhere') }), {
    code: 'MODEL_NOT_FOUND',
    exitCode: 2,
    hint: /EMBEDDING_MODEL/,
  })
})

t.test('a worker that dies fails what waits and what comes, and nothing hangs', async (t) => {
  const body = (onMessage: string) => `
    const { parentPort } = require('node:worker_threads')
    parentPort.postMessage({ type: 'ready', dimensions: 2, fingerprint: 'f' })
    parentPort.on('message', () => { ${onMessage} })`
  for (const death of ['process.exit(7)', "throw new Error('out of luck')"]) {
    const embedder = await createOnnxEmbedder(
      { model: folder, pooling: 'mean', queryPrefix: '', passagePrefix: '', batch: 1 },
      { startWorker: () => new Worker(body(death), { eval: true }) },
    )
    const waiting = await Promise.allSettled([embedder.embedQuery('one'), embedder.embedSegments(['two'])])
    for (const outcome of waiting) t.match(outcome, { reason: { code: 'MODEL_STOPPED' } }, death)
    await t.rejects(embedder.embedQuery('three'), { code: 'MODEL_STOPPED' })
    await t.resolves(embedder.close())
  }
  const stillborn = createOnnxEmbedder(
    { model: folder, pooling: 'mean', queryPrefix: '', passagePrefix: '', batch: 1 },
    { startWorker: () => new Worker('process.exit(0)', { eval: true }) },
  )
  await t.rejects(stillborn, { code: 'MODEL_STOPPED' })
})

t.test('after close nothing is answered', async (t) => {
  const embedder = await open(t, { expectedDimensions: tinyDimensions })
  const waiting = embedder.embedQuery('disk')
  await embedder.close()
  t.ok(await waiting, 'what was asked before is')
  await t.rejects(embedder.embedQuery('disk'), { code: 'MODEL_STOPPED' })
  await t.resolves(embedder.close())
})

t.test('under tsx, as the commands run; an open model keeps no process alive', async (t) => {
  const file = new URL('../../../core/embed/onnx.ts', import.meta.url)
  const script = `import { createOnnxEmbedder } from ${JSON.stringify(file.href)}
    const embedder = await createOnnxEmbedder({ model: process.argv[1], pooling: 'cls', queryPrefix: '', passagePrefix: '', batch: 1 })
    console.log(JSON.stringify([...await embedder.embedQuery('disk')]))`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script, folder]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: fileURLToPath(new URL('../../../', import.meta.url)),
    env: { PATH: process.env['PATH'] },
  })
  t.ok(apart(JSON.parse(stdout) as number[], expected(['[CLS]'])) < 1e-6)
})
