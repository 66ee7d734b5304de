import t from 'tap'
import { assertSameGeneration, embedderChoice } from '../../../core/embed/load.ts'

t.test('what the settings choose', async (t) => {
  t.same(embedderChoice({}), { kind: 'lsa' })
  t.same(embedderChoice({ EMBEDDING_MODEL: ' LSA ' }), { kind: 'lsa' })
  t.same(
    embedderChoice({
      EMBEDDING_MODEL: 'someone/a-model',
      EMBEDDING_POOLING: 'cls',
      EMBEDDING_QUERY_PREFIX: 'query: ',
      EMBEDDING_BATCH: '8',
    }),
    {
      kind: 'onnx',
      name: 'someone/a-model',
      options: {
        model: 'someone/a-model',
        pooling: 'cls',
        batch: 8,
        queryPrefix: 'query: ',
        passagePrefix: '',
      },
    },
  )
  const names = ['/models/bge-small', './bge-small/', '../x/bge-small', 'C:\\models\\bge-small']
  for (const model of names) t.match(embedderChoice({ EMBEDDING_MODEL: model }), { name: 'bge-small' }, model)
  t.throws(() => embedderChoice({ EMBEDDING_POOLING: 'max' }), { code: 'CONFIG_INVALID', exitCode: 2 })
  t.throws(() => embedderChoice({ EMBEDDING_BATCH: '0' }), { code: 'CONFIG_INVALID' })
})

t.test('another model than the stored vectors are of is refused', async (t) => {
  const generation = {
    id: 3,
    name: 'bge-small',
    kind: 'onnx' as const,
    fingerprint: 'aa',
    dimensions: 384,
    wordsWeight: 0.5,
    vectorWeight: 0.5,
  }
  t.doesNotThrow(() => assertSameGeneration({ kind: 'onnx', fingerprint: 'aa', dimensions: 384 }, generation))
  for (const other of [
    { kind: 'lsa' as const, fingerprint: 'aa', dimensions: 384 },
    { kind: 'onnx' as const, fingerprint: 'ab', dimensions: 384 },
    { kind: 'onnx' as const, fingerprint: 'aa', dimensions: 256 },
  ]) {
    t.throws(() => assertSameGeneration(other, generation), { code: 'GENERATION_MISMATCH', exitCode: 2 })
  }
})
