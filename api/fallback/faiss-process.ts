import { spawn, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bareEnvironment } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'
import type { FaissReply, FaissRequest } from './faiss-messages.ts'
import type { Nearest } from './top-k.ts'

const startTimeoutMs = 30_000
/** Without a single answer for this long while searches wait, the process counts as hung. */
const silenceMs = 2_000

interface Step {
  resolve(reply: FaissReply): void
  reject(error: HomeportError): void
}

interface Waiting {
  resolve(nearest: Nearest): void
  reject(error: HomeportError): void
}

/** One FAISS process with one index, from its start to its end. */
export class FaissProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<string>
  #complaint = ''
  #searches = 0
  #silence: NodeJS.Timeout | undefined
  #step: Step | undefined
  readonly #started: Promise<FaissReply>

  constructor() {
    // Threads cost one query 20 times what they save; the rest of the environment, connection strings
    // among it, is none of this process's business.
    this.#child = spawn(process.execPath, childArguments(), {
      env: bareEnvironment({ OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' }),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-300)
    })
    this.#child.on('message', (reply: FaissReply) => this.#receive(reply))
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message))
      this.#child.on('exit', (code, signal) => resolve(signal ?? `exit ${code}`))
    })
    void this.#ended.then((how) => this.#fail(crashed(how, this.#complaint)))
    this.#started = this.#next('started')
    // Looked at by load(); until then a rejection is nobody's fault.
    this.#started.catch(() => undefined)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** How it ended, once it has. */
  get ended(): Promise<string> {
    return this.#ended
  }

  /** @throws HomeportError FAISS_UNAVAILABLE, FAISS_CRASHED */
  async load(path: string, expected: { count: number; dimensions: number }): Promise<void> {
    await this.#started
    const step = this.#next('loaded')
    this.#send({ kind: 'load', path })
    const loaded = await step
    if (loaded.kind !== 'loaded') return
    if (loaded.count !== expected.count || loaded.dimensions !== expected.dimensions) {
      throw new HomeportError('FAISS_UNAVAILABLE', 'FAISS read another index than was written')
    }
  }

  search(query: Float32Array, k: number): Promise<Nearest> {
    return new Promise((resolve, reject) => {
      const id = this.#searches++
      this.#waiting.set(id, { resolve, reject })
      this.#send({ kind: 'search', id, query, k })
      this.#silence ??= this.#watch()
    })
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #send(request: FaissRequest): void {
    // A channel that is gone is reported by the exit of the process.
    if (this.#child.connected) this.#child.send(request, () => undefined)
  }

  #next(wanted: 'started' | 'loaded'): Promise<FaissReply> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.kill()
        reject(new HomeportError('FAISS_CRASHED', `the FAISS process was not ${wanted} in time`))
      }, startTimeoutMs)
      const settle = (act: () => void) => {
        clearTimeout(timer)
        this.#step = undefined
        act()
      }
      this.#step = {
        resolve: (reply) => settle(() => resolve(reply)),
        reject: (error) => settle(() => reject(error)),
      }
    })
  }

  #receive(reply: FaissReply): void {
    if (reply.kind === 'started' || reply.kind === 'loaded') {
      this.#step?.resolve(reply)
      return
    }
    if (reply.kind === 'failed' && reply.id === null) {
      this.#step?.reject(
        new HomeportError('FAISS_UNAVAILABLE', 'the FAISS addon does not work here', {
          hint: 'FALLBACK_ENGINE=scan needs no addon; ops/bootstrap.sh builds it',
          cause: new Error(reply.message),
        }),
      )
      return
    }
    clearTimeout(this.#silence)
    const waiting = this.#waiting.get(reply.id ?? -1)
    this.#waiting.delete(reply.id ?? -1)
    this.#silence = this.#waiting.size > 0 ? this.#watch() : undefined
    if (reply.kind === 'found') waiting?.resolve({ positions: reply.positions, scores: reply.scores })
    else waiting?.reject(new HomeportError('FAISS_FAILED', 'FAISS refused a search'))
  }

  #watch(): NodeJS.Timeout {
    return setTimeout(() => this.kill(), silenceMs)
  }

  #fail(error: HomeportError): void {
    clearTimeout(this.#silence)
    this.#step?.reject(error)
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

function crashed(how: string, complaint: string): HomeportError {
  return new HomeportError('FAISS_CRASHED', `the FAISS process ended (${how})`, {
    ...(complaint === '' ? {} : { cause: new Error(complaint.trim()) }),
  })
}

function childArguments(): string[] {
  const extension = extname(fileURLToPath(import.meta.url))
  const file = fileURLToPath(new URL(`./faiss-child${extension}`, import.meta.url))
  return extension === '.ts' ? ['--import', import.meta.resolve('tsx'), file] : [file]
}
