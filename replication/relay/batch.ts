/** What every part of a batch says about itself. Log positions as Postgres prints them. */
export interface BatchHeader {
  slot: string
  /** of the primary */
  systemIdentifier: string
  timeline: number
  /** the end of the batch before this one: where the cloud must be for this one to fit */
  after: string
  /** the end LSN of the last commit in it, or an idle position to advance to when it holds no transaction */
  end: string
  /** start of the last commit record in it; equal to `end` when it holds no transaction */
  commit: string
  transactions: number
  rows: number
  /** 0 for a batch in one piece; a transaction past the limit comes alone, in several */
  part: number
  isLastPart: boolean
}

/**
 * One part of a batch. `frames` are pgoutput messages as an unstreamed protocol 1 session sends them:
 * first the type and relation messages that this part needs, whoever sent them before, then begin,
 * changes, commit, begin ... A transaction in several parts has its begin in the first and its commit
 * in the last.
 */
export interface BatchPart {
  header: BatchHeader
  frames: readonly Buffer[]
}

/** A batch: whole transactions in commit order, read once. Nearly always one part. */
export interface Batch {
  /** of the whole batch; the rows and transactions of a batch in several parts are known at its end */
  slot: string
  after: string
  end: string
  /** the oldest commit in it, ISO time by the primary's clock; null without a transaction */
  oldestCommitAt: string | null
  /** A new pass over the parts; may be asked for again, for a retry. */
  parts(): AsyncIterable<BatchPart>
  /** Forgets what was spilled to disk for it. */
  release(): Promise<void>
}
