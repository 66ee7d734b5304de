import { choiceSetting, integerSetting, setting, textSetting } from '../config.ts'
import { HomeportError } from '../errors.ts'
import type { Embedder, ModelGeneration } from './embedder.ts'
import type { OnnxOptions } from './onnx.ts'

/** The model the settings ask for: the lexical default, or a sentence model by the name it goes by. */
export type EmbedderChoice = { kind: 'lsa' } | { kind: 'onnx'; name: string; options: OnnxOptions }

/** Reads EMBEDDING_*. @throws HomeportError CONFIG_INVALID, exit 2. */
export function embedderChoice(env?: Readonly<Record<string, string | undefined>>): EmbedderChoice {
  const model = setting('EMBEDDING_MODEL', env) ?? 'lsa'
  const pooling = choiceSetting('EMBEDDING_POOLING', ['mean', 'cls', 'last'], env)
  const batch = integerSetting('EMBEDDING_BATCH', { byDefault: 32, min: 1, max: 1_024 }, env)
  if (model.toLowerCase() === 'lsa') return { kind: 'lsa' }
  const options: OnnxOptions = {
    model,
    pooling,
    batch,
    // A prefix like "query: " ends in a space that matters.
    queryPrefix: textSetting('EMBEDDING_QUERY_PREFIX', env),
    passagePrefix: textSetting('EMBEDDING_PASSAGE_PREFIX', env),
  }
  return { kind: 'onnx', name: modelName(model), options }
}

/** The last two parts of a hub name, the last of a folder: what a person calls the model. */
function modelName(model: string): string {
  const parts = model.split(/[/\\]/).filter((part) => part !== '' && part !== '.' && part !== '..')
  const path = /^([./\\]|[a-z]:)/i.test(model)
  return parts.slice(path || parts.length > 2 ? -1 : -2).join('/') || model
}

/**
 * Proves that an embedder makes vectors of a stored generation, so that a question is never compared with
 * another model's vectors.
 *
 * @throws HomeportError GENERATION_MISMATCH, exit 2.
 */
export function assertSameGeneration(
  embedder: Pick<Embedder, 'kind' | 'fingerprint' | 'dimensions'>,
  generation: ModelGeneration,
): void {
  const same =
    embedder.kind === generation.kind &&
    embedder.fingerprint === generation.fingerprint &&
    embedder.dimensions === generation.dimensions
  if (same) return
  throw new HomeportError(
    'GENERATION_MISMATCH',
    `the configured embedding model is not the one the stored vectors were made with (${generation.name})`,
    {
      hint: 'set EMBEDDING_MODEL, EMBEDDING_POOLING and the two prefixes as at home, and use the same model files',
      exitCode: 2,
    },
  )
}
