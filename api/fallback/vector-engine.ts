import type { Nearest } from './top-k.ts'

/** Vectors as the cloud holds them: halves, row after row. Never changed once an engine has it. */
export interface VectorTable {
  readonly dimensions: number
  readonly count: number
  /** The bits of the halves, `count * dimensions`. */
  readonly halves: Uint16Array
  /** 1 divided by the length of each vector; 0 for a row without a vector, or with one of zeros. */
  readonly inverseLengths: Float32Array
}

export type EngineKind = 'faiss' | 'scan'

/** Finds the nearest of a fixed table of vectors, exactly. */
export interface VectorEngine {
  /** What answers now. */
  readonly kind: EngineKind
  /** Takes the table; once, before the first search. @throws HomeportError when the engine cannot work here. */
  load(table: VectorTable): Promise<void>
  /**
   * The rows with the largest cosine, best first: at most `k`, and fewer where the table has fewer.
   * Rows without a vector may be among them, with score 0.
   *
   * @param query of unit length and the table's dimensions
   */
  search(query: Float32Array, k: number): Promise<Nearest>
  close(): Promise<void>
}
