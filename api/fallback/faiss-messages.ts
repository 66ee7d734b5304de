/** What the api asks of its FAISS process. */
export type FaissRequest =
  { kind: 'load'; path: string } | { kind: 'search'; id: number; query: Float32Array; k: number }

/** What the FAISS process answers. */
export type FaissReply =
  | { kind: 'started' }
  | { kind: 'loaded'; count: number; dimensions: number }
  | { kind: 'found'; id: number; positions: number[]; scores: number[] }
  | { kind: 'failed'; id: number | null; message: string }
