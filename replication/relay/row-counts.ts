import { decodeMessage } from '../pgoutput/decode.ts'
import { messageTag, peekMessage } from '../pgoutput/peek.ts'
import type { Batch, BatchPart } from './batch.ts'

export interface RowCount {
  table: string
  operation: 'insert' | 'update' | 'delete' | 'truncate'
  count: number
}

/** A batch that counts what goes by while somebody else reads it. */
export interface CountedBatch extends Batch {
  /** The rows of the last pass, by table and operation. */
  rowCounts(): RowCount[]
}

const operations: ReadonlyMap<number, RowCount['operation']> = new Map([
  [messageTag.insert, 'insert'],
  [messageTag.update, 'update'],
  [messageTag.delete, 'delete'],
])

/** Counts without a pass of its own, which would read a large batch from the disk once more. */
export function countRows(batch: Batch): CountedBatch {
  let counts = new Map<string, RowCount>()
  const add = (table: string, operation: RowCount['operation']): void => {
    const key = `${operation} ${table}`
    const known = counts.get(key)
    if (known === undefined) counts.set(key, { table, operation, count: 1 })
    else known.count += 1
  }
  return {
    slot: batch.slot,
    after: batch.after,
    end: batch.end,
    oldestCommitAt: batch.oldestCommitAt,
    async *parts() {
      counts = new Map()
      for await (const part of batch.parts()) {
        countPart(part, add)
        yield part
      }
    },
    release: () => batch.release(),
    rowCounts: () => [...counts.values()],
  }
}

function countPart(
  { frames }: BatchPart,
  add: (table: string, operation: RowCount['operation']) => void,
): void {
  const tables = new Map<number, string>()
  for (const frame of frames) {
    const { tag, relationOid } = peekMessage(frame, { inStream: false })
    const operation = operations.get(tag)
    if (operation !== undefined) add(tables.get(relationOid ?? 0) ?? 'unknown', operation)
    else if (tag === messageTag.relation || tag === messageTag.truncate) {
      const message = decodeMessage(frame, { inStream: false, protocol: 1 })
      if (message.type === 'relation') tables.set(message.oid, message.name)
      if (message.type === 'truncate') {
        for (const oid of message.relationOids) add(tables.get(oid) ?? 'unknown', 'truncate')
      }
    }
  }
}
