import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { HomeportError } from '../errors.ts'
import type { WorkerSettings } from './onnx-protocol.ts'

/** Where a model's files lie and which of its exports is taken. */
export interface ModelFiles {
  /** A local folder, or null for a name on the hub. */
  folder: string | null
  /** Folder of the .onnx file below the model's. */
  subfolder: string
  /** transformers' name of the export: it decides the file's suffix. */
  dtype: 'fp32' | 'fp16' | 'q8'
}

const exports = [
  { dtype: 'fp32', file: 'model.onnx' },
  { dtype: 'fp16', file: 'model_fp16.onnx' },
  { dtype: 'q8', file: 'model_quantized.onnx' },
] as const

/** Whether a model's name is a folder of this machine: it looks like a path, or there is one. */
export async function isLocalModel(model: string): Promise<boolean> {
  if (isAbsolute(model) || /^\.{1,2}([/\\]|$)/.test(model)) return true
  return isThere(model, 'folder')
}

/**
 * Finds a model's files: the most precise export of a local folder; full precision on the hub.
 *
 * @throws HomeportError MODEL_NOT_FOUND, exit 2, that names what is missing.
 */
export async function findModelFiles(model: string): Promise<ModelFiles> {
  if (!(await isLocalModel(model))) return { folder: null, subfolder: 'onnx', dtype: 'fp32' }
  for (const file of ['config.json', 'tokenizer.json']) {
    if (!(await isThere(join(model, file), 'file'))) throw notFound(model, file)
  }
  for (const { dtype, file } of exports) {
    for (const subfolder of ['onnx', '']) {
      if (await isThere(join(model, subfolder, file), 'file')) return { folder: model, subfolder, dtype }
    }
  }
  throw notFound(model, join('onnx', 'model.onnx'))
}

function notFound(model: string, file: string): HomeportError {
  return new HomeportError('MODEL_NOT_FOUND', `the embedding model's folder ${model} has no ${file}`, {
    hint: `EMBEDDING_MODEL is a folder with config.json, tokenizer.json and onnx/model.onnx (export one with
optimum-cli export onnx --model NAME FOLDER), a name on the hub, or lsa`.replace('\n', ' '),
    exitCode: 2,
  })
}

async function isThere(path: string, kind: 'file' | 'folder'): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return (kind === 'file' ? found?.isFile() : found?.isDirectory()) ?? false
}

/** The path of the chosen export once it is on this machine. */
export function exportPath(
  files: ModelFiles,
  settings: Pick<WorkerSettings, 'model' | 'cacheFolder'>,
): string {
  const file = exports.find(({ dtype }) => dtype === files.dtype)?.file ?? 'model.onnx'
  return join(files.folder ?? join(settings.cacheFolder, settings.model), files.subfolder, file)
}

/**
 * sha256, hex, over everything that decides a vector: the bytes of the weights (external data too) and of the
 * tokenizer, the pooling, the prefixes and the dimension. Not over the folder's name: a copy is the same model.
 */
export async function modelFingerprint(
  files: ModelFiles,
  settings: WorkerSettings,
  dimensions: number,
): Promise<string> {
  const weights = exportPath(files, settings)
  const root = files.folder ?? join(settings.cacheFolder, settings.model)
  const beside = await readdir(dirname(weights))
  const data = beside.filter((file) => file.startsWith(`${basename(weights)}_data`)).sort()
  const paths = [weights, ...data.map((file) => join(dirname(weights), file)), join(root, 'tokenizer.json')]
  const { pooling, queryPrefix, passagePrefix } = settings
  const hash = createHash('sha256')
  hash.update(JSON.stringify(['onnx 1', pooling, queryPrefix, passagePrefix, dimensions]))
  for (const path of paths) {
    const file = createHash('sha256')
    await pipeline(createReadStream(path), file)
    hash.update(file.digest())
  }
  return hash.digest('hex')
}
