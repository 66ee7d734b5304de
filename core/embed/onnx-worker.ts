import { parentPort, workerData } from 'node:worker_threads'
import { errorMessage, HomeportError } from '../errors.ts'
import type { WorkerFailure, WorkerReply, WorkerRequest, WorkerSettings } from './onnx-protocol.ts'
import { loadSentenceModel, type SentenceModel } from './sentence-model.ts'

const port = parentPort
if (port === null) throw new Error('this file is the body of a worker thread')

function reply(message: WorkerReply): void {
  port?.postMessage(message, message.type === 'vectors' ? [message.values.buffer as ArrayBuffer] : [])
}

function toFailure(error: unknown): WorkerFailure {
  if (!(error instanceof HomeportError)) {
    const message = 'the embedding model failed'
    return { code: 'MODEL_FAILED', message, cause: errorMessage(error) }
  }
  const { code, message, hint, cause } = error
  return {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause: errorMessage(cause) }),
  }
}

async function answer(model: SentenceModel, id: number, texts: readonly string[]): Promise<void> {
  try {
    reply({ type: 'vectors', id, values: await model.embed(texts) })
  } catch (error) {
    reply({ type: 'failed', id, failure: toFailure(error) })
  }
}

try {
  const model = await loadSentenceModel(workerData as WorkerSettings)
  // One after the other: the runtime takes all cores for one batch anyway.
  let queue = Promise.resolve()
  port.on('message', (request: WorkerRequest) => {
    queue = queue.then(async () => {
      if (request.type === 'embed') return answer(model, request.id, request.texts)
      await model.close()
      port.close()
    })
  })
  reply({ type: 'ready', dimensions: model.dimensions, fingerprint: model.fingerprint })
} catch (error) {
  reply({ type: 'unusable', failure: toFailure(error) })
  port.close()
}
