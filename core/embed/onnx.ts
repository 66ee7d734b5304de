import { Worker } from 'node:worker_threads'
import { HomeportError } from '../errors.ts'
import type { Embedder } from './embedder.ts'
import type { OnnxModel, WorkerFailure, WorkerReply, WorkerRequest, WorkerSettings } from './onnx-protocol.ts'

export interface OnnxOptions extends OnnxModel {
  /** Texts that go through the model together. */
  batch: number
  /** Where models from the hub are kept, from the working directory. */
  cacheFolder?: string
  /** The generation's dimension, where there is one already. */
  expectedDimensions?: number
}

export interface OnnxEmbedder extends Embedder {
  readonly kind: 'onnx'
}

/** The most `models.dimensions` and a halfvec index take. */
const maxDimensions = 2_000

/**
 * A sentence model in a worker thread of its own: inference blocks its thread, and the runtime crashes in
 * several threads, so there is one thread and one session. The worker keeps no process alive while it idles.
 *
 * @throws HomeportError MODEL_NOT_FOUND (no such folder, or the hub does not have it or cannot be reached),
 *   MODEL_UNREADABLE, MODEL_OUTPUT, MODEL_DIMENSION. Later calls reject with MODEL_OUTPUT, MODEL_FAILED, or
 *   MODEL_STOPPED once the worker is gone.
 */
export async function createOnnxEmbedder(
  options: OnnxOptions,
  dependencies: { startWorker: (settings: WorkerSettings) => Worker } = { startWorker },
): Promise<OnnxEmbedder> {
  const { expectedDimensions, cacheFolder = 'data/models', ...model } = options
  const worker = new ModelWorker(dependencies.startWorker({ cacheFolder, ...model }))
  const { dimensions, fingerprint } = await worker.ready
  if (dimensions > maxDimensions || dimensions !== (expectedDimensions ?? dimensions)) {
    await worker.close()
    const wanted = expectedDimensions ?? `at most ${maxDimensions}`
    throw new HomeportError(
      'MODEL_DIMENSION',
      `the embedding model has ${dimensions} dimensions, not ${wanted}`,
      {
        hint: 'set EMBEDDING_MODEL to the model the vectors were made with, or ingest again with this one',
        exitCode: 2,
      },
    )
  }
  const embed = async (texts: readonly string[]): Promise<Float32Array[]> => {
    const values = await worker.embed(texts)
    return texts.map((_, at) => values.slice(at * dimensions, (at + 1) * dimensions))
  }
  return {
    kind: 'onnx',
    dimensions,
    fingerprint,
    embedQuery: async (text) =>
      (await embed([options.queryPrefix + text]))[0] ?? new Float32Array(dimensions),
    embedSegments: (texts) => embed(texts.map((text) => options.passagePrefix + text)),
    close: () => worker.close(),
  }
}

interface Waiting {
  resolve(values: Float32Array): void
  reject(error: Error): void
}

type Ready = Extract<WorkerReply, { type: 'ready' }>

class ModelWorker {
  readonly ready: Promise<Ready>
  readonly #worker: Worker
  readonly #exited: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 0
  #gone: Error | undefined

  constructor(worker: Worker) {
    this.#worker = worker
    let resolve: (ready: Ready) => void
    let reject: (error: Error) => void
    this.ready = new Promise((...settle) => ([resolve, reject] = settle))
    this.#worker.on('message', (message: WorkerReply) => {
      if (message.type === 'ready') {
        this.#worker.unref()
        resolve(message)
      } else if (message.type === 'unusable') reject(toError(message.failure))
      else this.#settle(message)
    })
    const lost = (cause?: unknown): void => {
      this.#gone ??= new HomeportError('MODEL_STOPPED', 'the embedding model stopped', {
        hint: 'restart; if it stops again, the machine may be out of memory: set EMBEDDING_BATCH lower',
        ...(cause === undefined ? {} : { cause }),
      })
      reject(this.#gone)
      for (const waiting of this.#waiting.values()) waiting.reject(this.#gone)
      this.#waiting.clear()
    }
    this.#worker.on('error', lost)
    this.#exited = new Promise((done) => {
      this.#worker.on('exit', () => {
        lost()
        done()
      })
    })
  }

  embed(texts: readonly string[]): Promise<Float32Array> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone)
    const id = this.#nextId++
    this.#worker.ref()
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#send({ type: 'embed', id, texts })
    })
  }

  async close(): Promise<void> {
    this.#gone ??= new HomeportError('MODEL_STOPPED', 'the embedding model is closed')
    this.#worker.ref()
    this.#send({ type: 'close' })
    await this.#exited
  }

  #send(request: WorkerRequest): void {
    this.#worker.postMessage(request)
  }

  #settle(message: Extract<WorkerReply, { id: number }>): void {
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (this.#waiting.size === 0 && this.#gone === undefined) this.#worker.unref()
    if (message.type === 'vectors') waiting?.resolve(message.values)
    else waiting?.reject(toError(message.failure))
  }
}

/**
 * The worker's file has the extension of this one: TypeScript in development, which a worker thread reads
 * only once it has registered tsx for itself, or the JavaScript built from it.
 */
function startWorker(settings: WorkerSettings): Worker {
  const typescript = import.meta.url.endsWith('.ts')
  const file = new URL(`./onnx-worker.${typescript ? 'ts' : 'js'}`, import.meta.url)
  if (!typescript) return new Worker(file, { workerData: settings, execArgv: [] })
  const body = `import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}
register()
await import(${JSON.stringify(file.href)})`
  const start = new URL(`data:text/javascript,${encodeURIComponent(body)}`)
  return new Worker(start, { workerData: settings, execArgv: [] })
}

function toError({ code, message, hint, cause }: WorkerFailure): HomeportError {
  return new HomeportError(code, message, {
    exitCode: code === 'MODEL_FAILED' ? 1 : 2,
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}
