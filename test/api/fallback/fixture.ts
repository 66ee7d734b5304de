import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createLog, type Logger } from '../../../core/log.ts'
import { toHalf } from '../../../core/vector.ts'
import { inverseLength } from '../../../api/fallback/scan-engine.ts'
import type { VectorTable } from '../../../api/fallback/vector-engine.ts'

export const silent: Logger = createLog({ name: 'test', level: 'silent' })

/** Why tests of FAISS are skipped, or false. In CI they run. */
export const noFaiss: string | false =
  process.env['CI'] ||
  existsSync(
    fileURLToPath(new URL('../../../node_modules/faiss-node/build/Release/faiss-node.node', import.meta.url)),
  )
    ? false
    : 'the FAISS addon is not built here (bash ops/bootstrap.sh --test builds it)'

/** Reproducible numbers from 0 to 1 (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function randomVector(random: () => number, dimensions: number): Float32Array {
  return Float32Array.from({ length: dimensions }, () => random() - 0.5)
}

/** A table of random vectors; the rows named in `empty` have none. */
export function randomTable(
  count: number,
  dimensions: number,
  seed = 1,
  empty: readonly number[] = [],
): VectorTable {
  const random = randomNumbers(seed)
  const halves = Uint16Array.from({ length: count * dimensions }, () => toHalf(random() - 0.5))
  for (const row of empty) halves.fill(0, row * dimensions, (row + 1) * dimensions)
  const inverseLengths = Float32Array.from({ length: count }, (_, row) =>
    inverseLength(halves, row * dimensions, dimensions),
  )
  return { count, dimensions, halves, inverseLengths }
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits until something holds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`never happened: ${what}`)
}
