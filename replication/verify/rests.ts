/**
 * How long a server hashes before it rests: less than a scheduler gives a process before others have their turn (about
 * 3 ms in Linux), so that a session that writes hardly waits for it.
 */
const burstMs = 0.25
const minRestEveryRows = 8
const maxRestEveryRows = 2000

/** Chunks of a table that are hashed without a rest, to learn what a row costs: a busy moment may spoil one. */
const probes = 3
const probeRows = 2000
/** Fewer say more about the statement than about a row. */
const minHashedRows = 100

/** How the next chunk of a table should be hashed. */
export interface ChunkPlan {
  rows: number
  /** after how many rows, on average, the server rests for a millisecond; null for never */
  restEveryRows: number | null
}

/** A chunk that was compared. */
export interface HashedChunk {
  /** rows that it was cut to have */
  rows: number
  /** rows of it that counted */
  hashed: number
  restEveryRows: number | null
  /** what it took within the server, without the way there and back */
  serverMs: number
}

interface Cost {
  /** the lowest so far */
  rowMs: number
  probes: number
  /** a probe that finds no rows to hash is made larger */
  probeRows: number
}

/** What a row of each table costs, and so how often the servers should rest. */
export class Rests {
  readonly #costs = new Map<string, Cost>()

  plan(table: string, rows: number): ChunkPlan {
    const cost = this.#costs.get(table)
    if (cost !== undefined && cost.probes >= probes) return { rows, restEveryRows: restAfter(cost.rowMs) }
    return { rows: Math.min(rows, cost?.probeRows ?? probeRows), restEveryRows: null }
  }

  took(table: string, chunk: HashedChunk): void {
    // With rests in it the time says little: how long they really are depends on the timer, and on who else is there.
    if (chunk.restEveryRows !== null) return
    const before = this.#costs.get(table) ?? { rowMs: Infinity, probes: 0, probeRows }
    const isProbe = chunk.hashed >= minHashedRows
    this.#costs.set(table, {
      rowMs: isProbe ? Math.min(before.rowMs, chunk.serverMs / chunk.hashed) : before.rowMs,
      probes: before.probes + (isProbe ? 1 : 0),
      probeRows: isProbe ? probeRows : 2 * before.probeRows,
    })
  }
}

/** Pure: rows that a server hashes between two rests. */
export function restAfter(rowMs: number): number {
  return Math.min(maxRestEveryRows, Math.max(minRestEveryRows, Math.round(burstMs / rowMs)))
}
