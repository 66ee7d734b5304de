import { embedderChoice } from '../../core/embed/load.ts'
import { createOnnxEmbedder } from '../../core/embed/onnx.ts'
import type { ChosenModel } from '../generation/model.ts'

/**
 * The model of EMBEDDING_MODEL. A sentence model is loaded, and has to be closed.
 *
 * @throws HomeportError of the settings or of loading, exit 2.
 */
export async function chooseModel(): Promise<ChosenModel> {
  const choice = embedderChoice()
  if (choice.kind === 'lsa') return choice
  return { kind: 'onnx', name: choice.name, embedder: await createOnnxEmbedder(choice.options) }
}
