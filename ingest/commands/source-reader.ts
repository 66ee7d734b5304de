import { Worker } from 'node:worker_threads'
import type { InputFiles } from '../identity.ts'
import type { ReadSource } from '../store/ingest-files.ts'
import { readSource } from './read-source.ts'

/** Reads transcripts, bad ones included: what is wrong with a file is in the result. */
export interface SourceReader {
  read(file: InputFiles): Promise<ReadSource>
  close(): Promise<void>
}

/** Below this a thread takes longer to start than it saves. */
const filesWorthAThread = 16

/**
 * Reads here when there is little to read; else in a thread, so that parsing and the database work at the
 * same time instead of waiting for each other's turn on this one.
 */
export function createSourceReader(files: number): SourceReader {
  if (files < filesWorthAThread) return { read: readSource, close: () => Promise.resolve() }
  return new ThreadedReader()
}

export interface ReadRequest {
  id: number
  file: InputFiles
}

export type ReadReply = { id: number; read: ReadSource } | { id: number; unexpected: Error }

interface Waiting {
  resolve(read: ReadSource): void
  reject(error: Error): void
}

class ThreadedReader implements SourceReader {
  readonly #worker = startWorker()
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 0
  #gone: Error | undefined

  constructor() {
    this.#worker.on('message', (reply: ReadReply) => {
      const waiting = this.#waiting.get(reply.id)
      this.#waiting.delete(reply.id)
      if ('read' in reply) waiting?.resolve(reply.read)
      else waiting?.reject(reply.unexpected)
    })
    const lost = (error: Error): void => {
      this.#gone ??= error
      for (const waiting of this.#waiting.values()) waiting.reject(this.#gone)
      this.#waiting.clear()
    }
    this.#worker.on('error', lost)
    this.#worker.on('exit', () => lost(new Error('the reading thread ended')))
  }

  read(file: InputFiles): Promise<ReadSource> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone)
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.postMessage({ id, file } satisfies ReadRequest)
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** The thread's file has the extension of this one; TypeScript is read only once tsx is registered there. */
function startWorker(): Worker {
  const typescript = import.meta.url.endsWith('.ts')
  const file = new URL(`./read-worker.${typescript ? 'ts' : 'js'}`, import.meta.url)
  if (!typescript) return new Worker(file, { execArgv: [] })
  const body = `import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}
register()
await import(${JSON.stringify(file.href)})`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(body)}`), { execArgv: [] })
}
