/** A generation of vectors as the `models` table describes it. */
export interface ModelGeneration {
  /** models.id */
  id: number
  name: string
  kind: 'lsa' | 'onnx'
  /** sha256, hex, of everything that decides a vector */
  fingerprint: string
  dimensions: number
  wordsWeight: number
  vectorWeight: number
}

/**
 * Turns text into vectors of one generation. Vectors are finite and of unit length, except the zero
 * vector of a text in which the model knows nothing.
 */
export interface Embedder {
  readonly kind: 'lsa' | 'onnx'
  readonly dimensions: number
  readonly fingerprint: string
  embedQuery(text: string): Promise<Float32Array>
  /** In the order of the texts. */
  embedSegments(texts: readonly string[]): Promise<Float32Array[]>
  close(): Promise<void>
}
