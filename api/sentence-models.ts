import type { Embedder, ModelGeneration } from '../core/embed/embedder.ts'
import { assertSameGeneration, type EmbedderChoice } from '../core/embed/load.ts'
import { createOnnxEmbedder } from '../core/embed/onnx.ts'
import { HomeportError } from '../core/errors.ts'

/** Makes the embedder of a sentence model's generation on this machine. */
export type OpenSentenceModel = (generation: ModelGeneration) => Promise<Embedder>

/**
 * Opens the configured sentence model for whoever needs it. The runtime crashes in several threads at
 * once, and a model is large: everybody shares one, which is closed when the last one closes it.
 */
export function sentenceModels(choice: EmbedderChoice): OpenSentenceModel {
  let shared: { fingerprint: string; opened: Promise<Embedder>; users: number } | undefined

  async function open(generation: ModelGeneration): Promise<Embedder> {
    if (choice.kind !== 'onnx') {
      throw new HomeportError(
        'MODEL_NOT_CONFIGURED',
        `the active generation needs the sentence model ${generation.name}`,
        { hint: 'set EMBEDDING_MODEL and its settings here as at home', exitCode: 2 },
      )
    }
    const embedder = await createOnnxEmbedder({
      ...choice.options,
      expectedDimensions: generation.dimensions,
    })
    try {
      assertSameGeneration(embedder, generation)
    } catch (error) {
      await embedder.close()
      throw error
    }
    return embedder
  }

  return async (generation) => {
    const held = shared?.fingerprint === generation.fingerprint ? shared : undefined
    const use = held ?? { fingerprint: generation.fingerprint, opened: open(generation), users: 0 }
    use.users++
    shared = use
    try {
      const embedder = await use.opened
      return handle(embedder, async () => {
        if (--use.users > 0) return
        if (shared === use) shared = undefined
        await embedder.close()
      })
    } catch (error) {
      if (shared === use) shared = undefined
      throw error
    }
  }
}

/** One user's view of a shared embedder: closing it twice counts once. */
function handle(embedder: Embedder, release: () => Promise<void>): Embedder {
  let closed: Promise<void> | undefined
  return {
    kind: embedder.kind,
    dimensions: embedder.dimensions,
    fingerprint: embedder.fingerprint,
    embedQuery: (text) => embedder.embedQuery(text),
    embedSegments: (texts) => embedder.embedSegments(texts),
    close: () => (closed ??= release()),
  }
}
