import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { backoffMs, sleep } from '../../core/backoff.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { FaissProcess } from './faiss-process.ts'
import { writeFlatIndex } from './flat-index.ts'
import { scanNearest } from './scan-engine.ts'
import type { VectorEngine, VectorTable } from './vector-engine.ts'

export interface FaissEngine extends VectorEngine {
  /** The process that holds the index; undefined while there is none. */
  readonly pid: number | undefined
}

export interface FaissEngineOptions {
  /** The index travels to the process through a short-lived file named after this one. */
  path: string
  log: Logger
  /** How the index is written; tests hand FAISS something else. */
  write?: (path: string, table: VectorTable) => Promise<void>
}

const retry = { baseMs: 200, maxMs: 30_000 }
/** A process that lived this long was not started in vain. */
const soundMs = 60_000

/**
 * FAISS in a process of its own. When that ends, for whatever reason, the searches it had are answered by a
 * scan of the same table in this process, and so are all that come until a new process has the index.
 */
export function createFaissEngine(options: FaissEngineOptions): FaissEngine {
  const { path, log, write = writeFlatIndex } = options
  const closing = new AbortController()
  const processes = new Set<FaissProcess>()
  let held: FaissProcess | undefined
  let table: VectorTable | undefined

  async function start(vectors: VectorTable): Promise<FaissProcess> {
    closing.signal.throwIfAborted()
    const file = `${path}.vectors-${process.pid}-${randomUUID()}`
    const started = new FaissProcess()
    processes.add(started)
    void started.ended.then(() => processes.delete(started))
    try {
      await mkdir(dirname(path), { recursive: true })
      await write(file, vectors)
      await started.load(file, vectors)
      return started
    } catch (error) {
      started.kill()
      throw error
    } finally {
      await rm(file, { force: true })
    }
  }

  async function keepAlive(first: FaissProcess, vectors: VectorTable): Promise<void> {
    let current: FaissProcess | undefined = first
    for (let attempt = 0; ; attempt++) {
      if (current !== undefined) {
        held = current
        const sinceMs = performance.now()
        const how = await current.ended
        held = undefined
        if (performance.now() - sinceMs > soundMs) attempt = 0
        if (!closing.signal.aborted) log.warn({ how }, 'the FAISS process ended; scanning until it is back')
      }
      await sleep(backoffMs({ attempt, ...retry }), closing.signal)
      current = await start(vectors).catch((error: unknown) => {
        log.warn({ code: errorCode(error), reason: errorMessage(error) }, 'the FAISS process did not start')
        return undefined
      })
    }
  }

  return {
    get kind() {
      return held === undefined ? 'scan' : 'faiss'
    },
    get pid() {
      return held?.pid
    },
    async load(vectors) {
      const first = await start(vectors)
      table = vectors
      held = first
      keepAlive(first, vectors).catch((error: unknown) => {
        // It only ends when the engine is closed.
        if (!closing.signal.aborted) log.error({ err: error }, 'FAISS is not watched any more')
      })
    },
    async search(query, k) {
      if (table === undefined) return { positions: [], scores: [] }
      try {
        if (held !== undefined) return await held.search(query, k)
      } catch (error) {
        log.debug({ code: errorCode(error) }, 'a search went from FAISS to the scan')
      }
      return scanNearest(table, query, k)
    },
    async close() {
      closing.abort()
      held = undefined
      const ends = [...processes].map((one) => {
        one.kill()
        return one.ended
      })
      await Promise.all(ends)
    },
  }
}

/** Removes what processes that are gone left beside a snapshot: their index files and half-written snapshots. */
export async function removeLeftovers(path: string): Promise<void> {
  // No folder, nothing left in it.
  const files = await readdir(dirname(path)).catch(() => [])
  for (const file of files) {
    if (!file.startsWith(`${basename(path)}.`)) continue
    const owner = /\.(?:vectors|writing)-(\d+)(?:-[0-9a-f-]+)?$/.exec(file)?.[1]
    if (owner !== undefined && !isRunning(Number(owner))) await rm(join(dirname(path), file), { force: true })
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}
