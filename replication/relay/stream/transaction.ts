import type { FrameLog, FrameMark } from './frame-log.ts'
import type { DescribedRelation, RelationScope } from './relations.ts'

/** A transaction that has committed on the primary, whole. */
export interface Transaction {
  xid: number
  /** start of the commit record */
  commitLsn: bigint
  /** just after it */
  endLsn: bigint
  /** microseconds since 2000-01-01 */
  commitTimeUs: bigint
  rows: number
  segmentRows: number
  /** everything between begin and commit, with the relations described before they are first used */
  frames: FrameLog
  /** of each table that it changes, the last description */
  descriptions: readonly DescribedRelation[]
}

interface Mark extends FrameMark {
  rows: number
  segmentRows: number
}

/** A transaction that is still arriving. */
export class OpenTransaction {
  readonly xid: number
  readonly frames: FrameLog
  /** where the server's descriptions for it are kept */
  readonly relations: RelationScope
  rows = 0
  segmentRows = 0
  readonly #subtransactions = new Map<number, Mark>()
  /** which description of a table its frames hold last, and where */
  readonly #described = new Map<number, { relation: DescribedRelation; bytes: number }>()

  constructor(xid: number, frames: FrameLog, relations: RelationScope) {
    this.xid = xid
    this.frames = frames
    this.relations = relations
  }

  /** A change, of the savepoint `xid` where it is streamed. `relations` are those that it names. */
  append(
    frame: Buffer,
    change: { xid: number | null; isRow: boolean; relations: readonly DescribedRelation[] },
  ): void {
    if (change.xid !== null && change.xid !== this.xid && !this.#subtransactions.has(change.xid)) {
      this.#subtransactions.set(change.xid, {
        ...this.frames.mark(),
        rows: this.rows,
        segmentRows: this.segmentRows,
      })
    }
    for (const relation of change.relations) this.#describe(relation)
    this.frames.append(frame)
    if (!change.isRow) return
    this.rows += 1
    if (change.relations[0]?.isSegments === true) this.segmentRows += 1
  }

  /**
   * Forgets a savepoint that was rolled back, and so everything after its first change: what came since belongs to it
   * or to savepoints within it. One without changes is not known, as one whose outer or inner one went before it.
   */
  abortSubtransaction(subXid: number): void {
    const mark = this.#subtransactions.get(subXid)
    if (mark === undefined) return
    this.frames.truncate(mark)
    this.rows = mark.rows
    this.segmentRows = mark.segmentRows
    for (const [xid, other] of this.#subtransactions) {
      if (other.frames >= mark.frames) this.#subtransactions.delete(xid)
    }
    for (const [oid, described] of this.#described) {
      if (described.bytes >= mark.bytes) this.#described.delete(oid)
    }
  }

  get descriptions(): DescribedRelation[] {
    return [...this.#described.values()].map(({ relation }) => relation)
  }

  #describe(relation: DescribedRelation): void {
    if (this.#described.get(relation.oid)?.relation === relation) return
    const { bytes } = this.frames.mark()
    for (const frame of relation.frames) this.frames.append(frame)
    this.#described.set(relation.oid, { relation, bytes })
  }
}
