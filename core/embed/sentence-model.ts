import { existsSync } from 'node:fs'
import { AutoModel, AutoTokenizer, env, LogLevel, Tensor } from '@huggingface/transformers'
import { errorMessage, HomeportError } from '../errors.ts'
import { fromHalves } from '../vector.ts'
import { exportPath, findModelFiles, modelFingerprint, type ModelFiles } from './model-files.ts'
import type { WorkerSettings } from './onnx-protocol.ts'
import { poolTokens } from './pool.ts'

// What is used of the library, in types narrow enough to check: its own are mostly `any`.
interface Tokenizer {
  (texts: string[], options: { return_tensor: false }): { input_ids: number[][] }
  padding_side: string
  pad_token_id?: number
  model_max_length: number
}
interface OutputTensor {
  data: unknown
  dims: readonly number[]
}
interface Model {
  (inputs: Record<string, Tensor>): Promise<Record<string, OutputTensor | undefined>>
  config: { max_position_embeddings?: number }
  dispose(): Promise<unknown>
}

/** A loaded sentence model. It blocks its thread while it works: it belongs into a worker. */
export interface SentenceModel {
  dimensions: number
  fingerprint: string
  /** A vector of unit length a text, after one another, in the order of the texts. */
  embed(texts: readonly string[]): Promise<Float32Array>
  close(): Promise<void>
}

/** Where a model does not say how long a text may be. */
const usualTokens = 512

/**
 * Loads a model and asks it once, so that its dimension is known.
 *
 * @throws HomeportError MODEL_NOT_FOUND, MODEL_UNREADABLE or MODEL_OUTPUT
 */
export async function loadSentenceModel(settings: WorkerSettings): Promise<SentenceModel> {
  const files = await findModelFiles(settings.model)
  const { tokenizer, model } = await loadParts(files, settings)
  const clip = clipper(tokenizer, model.config.max_position_embeddings)

  const run = async (batch: readonly number[][]): Promise<Float32Array> => {
    const { ids, mask, tokens } = pad(batch, tokenizer)
    const shape = [batch.length, tokens]
    const output = await model({
      input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), shape),
      attention_mask: new Tensor('int64', BigInt64Array.from(mask, BigInt), shape),
    })
    const { values, dimensions } = hiddenStates(output, shape)
    return poolTokens({ values, texts: batch.length, tokens, dimensions }, mask, settings.pooling)
  }
  const tokensOf = (texts: readonly string[]): number[][] =>
    tokenizer([...texts], { return_tensor: false }).input_ids.map(clip)

  const dimensions = (await run(tokensOf(['probe']))).length
  return {
    dimensions,
    fingerprint: await modelFingerprint(files, settings, dimensions),
    close: async () => void (await model.dispose()),
    embed: async (texts) => {
      const vectors = new Float32Array(texts.length * dimensions)
      if (texts.length === 0) return vectors
      const encoded = tokensOf(texts)
      // Texts of like length go together: little padding, little wasted work.
      const order = encoded
        .map((_, at) => at)
        .sort((a, b) => encoded[a]!.length - encoded[b]!.length || a - b)
      for (let from = 0; from < order.length; from += settings.batch) {
        const members = order.slice(from, from + settings.batch)
        const values = await run(members.map((at) => encoded[at]!))
        members.forEach((at, row) => {
          vectors.set(values.subarray(row * dimensions, (row + 1) * dimensions), at * dimensions)
        })
      }
      return vectors
    },
  }
}

async function loadParts(
  files: ModelFiles,
  settings: WorkerSettings,
): Promise<{ tokenizer: Tokenizer; model: Model }> {
  env.logLevel = LogLevel.ERROR
  env.cacheDir = settings.cacheFolder
  env.allowRemoteModels = files.folder === null
  const { model, cacheFolder } = settings
  try {
    const tokenizer = (await AutoTokenizer.from_pretrained(model)) as unknown as Tokenizer
    const { subfolder, dtype } = files
    const loaded = await AutoModel.from_pretrained(model, { subfolder, dtype, device: 'cpu' })
    return { tokenizer, model: loaded as unknown as Model }
  } catch (cause) {
    throw loadFailure(exportPath(files, { model, cacheFolder }), files, settings, cause)
  }
}

function loadFailure(
  weights: string,
  files: ModelFiles,
  { model }: WorkerSettings,
  cause: unknown,
): HomeportError {
  if (files.folder === null && !existsSync(weights)) {
    return new HomeportError(
      'MODEL_NOT_FOUND',
      `the embedding model ${model} could not be had from the hub`,
      {
        hint: 'check the name and the network, or set EMBEDDING_MODEL to a folder that holds the model',
        exitCode: 2,
        cause,
      },
    )
  }
  return new HomeportError('MODEL_UNREADABLE', `the embedding model ${model} does not load`, {
    hint: `its files are damaged or of an unknown kind (${errorMessage(cause).slice(0, 200)})`,
    exitCode: 2,
    cause,
  })
}

/** Cuts a text to what the model takes and keeps the closing tokens, which the library's own cut loses. */
function clipper(tokenizer: Tokenizer, positions: number | undefined): (ids: number[]) => number[] {
  const stated = tokenizer.model_max_length
  // Tokenizers without a limit say 10^30.
  const limit = Math.min(stated < 1e6 ? stated : (positions ?? usualTokens), positions ?? Infinity)
  const [empty = [], full = []] = tokenizer(['', 'a'], { return_tensor: false }).input_ids
  let closing = 0
  while (closing < empty.length && empty.at(-1 - closing) === full.at(-1 - closing)) closing++
  return (ids) =>
    ids.length <= limit ? ids : [...ids.slice(0, limit - closing), ...ids.slice(ids.length - closing)]
}

/** Fills a batch up to one length, on the side the model was trained with. */
function pad(
  batch: readonly number[][],
  tokenizer: Tokenizer,
): { ids: number[]; mask: number[]; tokens: number } {
  // A model cannot run on no token at all: a text without any is one of padding.
  const tokens = Math.max(1, ...batch.map((ids) => ids.length))
  const ids: number[] = []
  const mask: number[] = []
  for (const text of batch) {
    const fill = Array<number>(tokens - text.length)
    const padding = fill.fill(tokenizer.pad_token_id ?? 0)
    const left = tokenizer.padding_side === 'left'
    ids.push(...(left ? [...padding, ...text] : [...text, ...padding]))
    const ones = text.map(() => 1)
    const zeros = padding.map(() => 0)
    mask.push(...(left ? [...zeros, ...ones] : [...ones, ...zeros]))
  }
  return { ids, mask, tokens }
}

function hiddenStates(
  output: Readonly<Record<string, OutputTensor | undefined>>,
  shape: readonly number[],
): { values: Float32Array; dimensions: number } {
  const tensor = output['last_hidden_state'] ?? output['token_embeddings']
  const dimensions = tensor?.dims[2]
  if (tensor?.dims[0] !== shape[0] || tensor?.dims[1] !== shape[1] || dimensions === undefined) {
    const names = Object.keys(output).join(', ')
    throw new HomeportError(
      'MODEL_OUTPUT',
      `the embedding model gives no vector a token (it gives: ${names})`,
      {
        hint: 'export it for feature extraction, so that it has an output last_hidden_state',
        exitCode: 2,
      },
    )
  }
  const data = tensor?.data
  if (data instanceof Float32Array) return { values: data, dimensions }
  if (data instanceof Uint16Array) return { values: fromHalves(data), dimensions }
  throw new HomeportError('MODEL_OUTPUT', 'the embedding model answers in numbers of an unknown kind')
}
