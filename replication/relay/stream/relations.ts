import type { RelationMessage } from '../../pgoutput/messages.ts'

/** A table as the stream described it, with the messages that describe it to somebody else. */
export interface DescribedRelation {
  oid: number
  columnCount: number
  /** rows of it are what the limits of a batch count */
  isSegments: boolean
  /** its types, then itself; as an unstreamed session sends them */
  frames: readonly Buffer[]
  /** later descriptions have higher numbers */
  sequence: number
}

/** Whether two descriptions of one table say the same: the server repeats them, also where nothing was altered. */
export function isSameDescription(a: DescribedRelation, b: DescribedRelation): boolean {
  if (a === b) return true
  return a.frames.length === b.frames.length && a.frames.every((frame, at) => frame.equals(b.frames[at]!))
}

export type RelationScope = Map<number, DescribedRelation>

/**
 * What the server has described so far. It remembers what it sent separately for plain transactions and for each
 * streamed one (RelationSyncEntry in pgoutput.c: schema_sent and streamed_txns), and so do we: a streamed
 * transaction may have changed a table that the others still see as it was.
 */
export class Relations {
  /** for plain transactions */
  readonly committed: RelationScope = new Map()
  readonly #types = new Map<number, Buffer>()
  #sequence = 0

  addType(oid: number, frame: Buffer): void {
    this.#types.set(oid, frame)
  }

  /** `frame` is the message without a transaction id. */
  add(scope: RelationScope, message: RelationMessage, frame: Buffer): void {
    const types = new Set(message.columns.map((column) => column.typeOid))
    const typeFrames = [...types].map((oid) => this.#types.get(oid)).filter((type) => type !== undefined)
    this.#sequence += 1
    scope.set(message.oid, {
      oid: message.oid,
      columnCount: message.columns.length,
      isSegments: message.schema === 'public' && message.name === 'segments',
      frames: [...typeFrames, frame],
      sequence: this.#sequence,
    })
  }

  /** After a streamed transaction committed, the server counts what it described there as known to all. */
  commit(scope: RelationScope): void {
    for (const relation of scope.values()) {
      const known = this.committed.get(relation.oid)
      if (known === undefined || known.sequence < relation.sequence) {
        this.committed.set(relation.oid, relation)
      }
    }
  }
}
