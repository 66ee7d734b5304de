import type { PublishedTable } from '../../../core/published-tables.ts'
import { formatLsn, parseLsn } from '../../../core/lsn.ts'
import { decodeMessage } from '../../pgoutput/decode.ts'
import {
  columnKind,
  type CommitMessage,
  type LogicalMessage,
  type PgoutputMessage,
  type RelationMessage,
  type Tuple,
  type TypeMessage,
} from '../../pgoutput/messages.ts'
import { decodeRequest, type RepairRequest } from '../../repair/request.ts'
import type { BatchHeader, BatchPart } from '../batch.ts'
import { damagedBatch, keyHint, notPublished, schemaMismatch } from './errors.ts'
import { TableShape } from './table-shape.ts'

/** A change as it is to be applied. */
export type Change = RowChange | TruncateChange | RepairChange

export interface RowChange {
  kind: 'insert' | 'update' | 'delete'
  table: TableShape
  /** the replica identity before, where it was sent; of a delete always */
  old: Tuple | null
  /** null for a delete */
  row: Tuple | null
  /** start of the commit record of its transaction */
  commitLsn: bigint
}

export interface TruncateChange {
  kind: 'truncate'
  tables: readonly TableShape[]
  restartIdentity: boolean
  commitLsn: bigint
}

/** A row that ops repair wants the cloud to have as the primary has it, at this place in the log. */
export interface RepairChange {
  kind: 'repair'
  request: RepairRequest
  commitLsn: bigint
}

export interface ChangeReaderOptions {
  after: string
  end: string
  /** transactions that ended here or before are left out */
  skipThrough: bigint
  /** changes of these tables that ended here or before are left out: their copy has them */
  copied?: ReadonlyMap<string, bigint>
  tables: readonly PublishedTable[]
}

const plain = { inStream: false, protocol: 1 } as const
const relationTag = 0x52

/**
 * Reads the parts of one batch in order as a sequence of changes, and checks that they fit together: parts
 * without gaps, whole transactions in commit order, every change of a table that was described before.
 */
export class ChangeReader {
  /** of the part that was read last */
  header: BatchHeader | null = null
  rows = 0
  /** every table that was described, in each of its shapes */
  readonly shapes = new Set<TableShape>()
  /**
   * start of the commit record of the last transaction that changed something; null without one. Those that changed
   * nothing may not come again when the same log is sent once more, see history-check.ts.
   */
  lastChangeLsn: bigint | null = null
  #lastCommitLsn: bigint | null = null
  readonly #options: ChangeReaderOptions
  readonly #tables: ReadonlyMap<string, PublishedTable>
  readonly #byOid = new Map<number, { frame: Buffer; shape: TableShape }>()
  readonly #types = new Map<number, TypeMessage>()
  #open: { commitLsn: bigint; isSkipped: boolean; hasChanges: boolean } | null = null

  constructor(options: ChangeReaderOptions) {
    this.#options = options
    this.#tables = new Map(options.tables.map((table) => [table.name, table]))
  }

  /** @throws HomeportError BATCH_DAMAGED, TABLE_NOT_PUBLISHED, SCHEMA_MISMATCH, and what the decoder throws. */
  *read(part: BatchPart): Generator<Change, void, undefined> {
    this.#accept(part.header)
    for (const frame of part.frames) {
      // Every part describes its tables again; the same words make the same shape.
      if (frame[0] === relationTag && this.#isKnown(frame)) continue
      const change = this.#change(decodeMessage(frame, plain), frame)
      if (change !== null) yield change
    }
  }

  /** To be called after the last part. */
  end(): void {
    if (this.header?.isLastPart !== true) throw damagedBatch('its last part is missing')
    if (this.#open !== null) throw damagedBatch('its last transaction has no commit')
  }

  #accept(header: BatchHeader): void {
    const { after, end } = this.#options
    const expected = this.header === null ? 0 : this.header.part + 1
    if (this.header?.isLastPart === true || header.part !== expected) {
      throw damagedBatch(`part ${header.part} where part ${expected} belongs`)
    }
    if (header.after !== after || header.end !== end) {
      throw damagedBatch(`a part from ${header.after} to ${header.end} in a batch from ${after} to ${end}`)
    }
    this.header = header
  }

  #change(message: PgoutputMessage, frame: Buffer): Change | null {
    switch (message.type) {
      case 'insert': {
        return this.#rowChange('insert', this.#shape(message.relationOid), null, message.new)
      }
      case 'update': {
        const table = this.#identified(message.relationOid)
        return this.#rowChange('update', table, message.old, message.new)
      }
      case 'delete': {
        const table = this.#identified(message.relationOid)
        return this.#rowChange('delete', table, message.old, null)
      }
      case 'truncate': {
        const { commitLsn, isSkipped } = this.#changing()
        const tables = message.relationOids
          .map((oid) => this.#shape(oid))
          .filter(({ name }) => !this.#isCopied(name, commitLsn))
        const { restartIdentity } = message
        return isSkipped || tables.length === 0
          ? null
          : { kind: 'truncate', tables, restartIdentity, commitLsn }
      }
      case 'begin':
        this.#begin(message.commitLsn)
        return null
      case 'commit':
        this.#commit(message)
        return null
      case 'relation':
        this.#describe(message, frame)
        return null
      case 'type':
        this.#types.set(message.oid, message)
        return null
      case 'message':
        return this.#repair(message)
      case 'origin':
        return null
      case 'streamStart':
      case 'streamStop':
      case 'streamCommit':
      case 'streamAbort':
      case 'twoPhase':
        throw damagedBatch(`a message ${message.type} where none belongs`)
    }
  }

  #rowChange(
    kind: RowChange['kind'],
    table: TableShape,
    old: Tuple | null,
    row: Tuple | null,
  ): RowChange | null {
    const { commitLsn, isSkipped } = this.#changing()
    if (row !== null) checkTuple(table, row)
    if (old !== null) checkTuple(table, old)
    const keyed = old ?? row
    for (const column of table.key) {
      const kind = keyed?.kinds[column]
      if (kind !== columnKind.binary && kind !== columnKind.text) {
        throw damagedBatch(`a row of ${table.name} comes without its key`)
      }
    }
    if (isSkipped || this.#isCopied(table.name, commitLsn)) return null
    this.rows += 1
    return { kind, table, old, row, commitLsn }
  }

  #isCopied(table: string, commitLsn: bigint): boolean {
    return commitLsn < (this.#options.copied?.get(table) ?? 0n)
  }

  /** It changes nothing that the log would have to bring again, so its transaction counts as empty. */
  #repair(message: LogicalMessage): RepairChange | null {
    const request = decodeRequest(message.prefix, message.content)
    if (request === null || this.#open === null) return null
    const { commitLsn, isSkipped } = this.#open
    if (isSkipped || this.#isCopied(request.table, commitLsn)) return null
    return { kind: 'repair', request, commitLsn }
  }

  /** The transaction that a change belongs to. */
  #changing(): { commitLsn: bigint; isSkipped: boolean } {
    if (this.#open === null) throw damagedBatch('a change outside a transaction')
    this.#open.hasChanges = true
    return this.#open
  }

  #begin(commitLsn: bigint): void {
    if (this.#open !== null) throw damagedBatch('a transaction begins within another')
    if (this.#lastCommitLsn !== null && commitLsn <= this.#lastCommitLsn) {
      throw damagedBatch(`the commit at ${formatLsn(commitLsn)} comes after a later one`)
    }
    // A position in the log lies between two records, so one that started before it has also ended.
    this.#open = { commitLsn, isSkipped: commitLsn < this.#options.skipThrough, hasChanges: false }
  }

  #commit({ commitLsn, endLsn }: CommitMessage): void {
    if (this.#open?.commitLsn !== commitLsn)
      throw damagedBatch('a commit that is not of the open transaction')
    if (endLsn > parseLsn(this.#options.end)) {
      throw damagedBatch(`the commit at ${formatLsn(commitLsn)} ends after the batch`)
    }
    if (this.#open.hasChanges) this.lastChangeLsn = commitLsn
    this.#open = null
    this.#lastCommitLsn = commitLsn
  }

  #isKnown(frame: Buffer): boolean {
    const known = frame.length < 5 ? undefined : this.#byOid.get(frame.readUInt32BE(1))
    return known?.frame.equals(frame) === true
  }

  #describe(relation: RelationMessage, frame: Buffer): void {
    const table = relation.schema === 'public' ? this.#tables.get(relation.name) : undefined
    if (table === undefined) throw notPublished(`${relation.schema}.${relation.name}`)
    const types = new Map<number, TypeMessage>()
    for (const { typeOid } of relation.columns) {
      const type = this.#types.get(typeOid)
      if (type !== undefined) types.set(typeOid, type)
    }
    const shape = new TableShape(table, relation, types)
    this.shapes.add(shape)
    // A copy, or it would hold the memory of its whole part.
    this.#byOid.set(relation.oid, { frame: Buffer.from(frame), shape })
  }

  #shape(oid: number): TableShape {
    const known = this.#byOid.get(oid)
    if (known === undefined) throw damagedBatch(`a change of relation ${oid}, which was not described`)
    return known.shape
  }

  #identified(oid: number): TableShape {
    const table = this.#shape(oid)
    if (!table.identifiesRows) {
      const names = table.keyNames.join(', ')
      throw schemaMismatch([`${table.name} on the primary has a replica identity without ${names}`], keyHint)
    }
    return table
  }
}

function checkTuple(table: TableShape, tuple: Tuple): void {
  const columns = table.relation.columns.length
  if (tuple.kinds.length !== columns) {
    throw damagedBatch(`a row of ${table.name} has ${tuple.kinds.length} columns instead of ${columns}`)
  }
}
