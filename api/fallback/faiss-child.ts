import { createRequire } from 'node:module'
import type { FaissReply, FaissRequest } from './faiss-messages.ts'

// A process of its own: the addon's calls are synchronous, and a C++ exception in it ends the process.
// It answers over the channel it was started with, and ends with it.

interface FaissIndex {
  ntotal(): number
  getDimension(): number
  search(query: number[], k: number): { distances: number[]; labels: number[] }
}

interface FaissAddon {
  Index: { read(path: string): FaissIndex }
}

let index: FaissIndex | undefined

function reply(message: FaissReply): void {
  process.send?.(message)
}

function answer(addon: FaissAddon, request: FaissRequest): void {
  if (request.kind === 'load') {
    index = addon.Index.read(request.path)
    reply({ kind: 'loaded', count: index.ntotal(), dimensions: index.getDimension() })
    return
  }
  const { id, query } = request
  if (index === undefined || query.length !== index.getDimension()) {
    reply({ kind: 'failed', id, message: 'the query does not fit the index' })
    return
  }
  const k = Math.min(request.k, index.ntotal())
  if (k < 1) {
    reply({ kind: 'found', id, positions: [], scores: [] })
    return
  }
  const { labels, distances } = index.search(Array.from(query), k)
  // FAISS fills what it did not find with -1.
  const found = labels.map((_, at) => at).filter((at) => labels[at]! >= 0)
  reply({
    kind: 'found',
    id,
    positions: found.map((at) => labels[at]!),
    scores: found.map((at) => distances[at]!),
  })
}

function serve(): void {
  // Ctrl-C reaches the whole group; the api decides when this process ends.
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit(0))
  let addon: FaissAddon
  try {
    addon = createRequire(import.meta.url)('faiss-node') as FaissAddon
  } catch (error) {
    reply({ kind: 'failed', id: null, message: String(error).slice(0, 500) })
    return
  }
  process.on('message', (request: FaissRequest) => {
    try {
      answer(addon, request)
    } catch (error) {
      reply({ kind: 'failed', id: request.kind === 'search' ? request.id : null, message: String(error) })
    }
  })
  reply({ kind: 'started' })
}

serve()
