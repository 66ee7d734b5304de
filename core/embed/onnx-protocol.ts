import type { Pooling } from './pool.ts'

/** What decides a sentence model's vectors. */
export interface OnnxModel {
  /** A folder with config.json, tokenizer.json and (in it or in onnx/) model.onnx; or a name on the hub. */
  model: string
  pooling: Pooling
  /** Put before every question. */
  queryPrefix: string
  /** Put before every segment. */
  passagePrefix: string
}

/** What the worker is started with. */
export interface WorkerSettings extends OnnxModel {
  /** Texts that go through the model together. */
  batch: number
  /** Where models from the hub are kept. */
  cacheFolder: string
}

export interface WorkerFailure {
  code: string
  message: string
  hint?: string
  cause?: string
}

export type WorkerRequest = { type: 'embed'; id: number; texts: readonly string[] } | { type: 'close' }

export type WorkerReply =
  | { type: 'ready'; dimensions: number; fingerprint: string }
  | { type: 'unusable'; failure: WorkerFailure }
  | { type: 'vectors'; id: number; values: Float32Array }
  | { type: 'failed'; id: number; failure: WorkerFailure }
