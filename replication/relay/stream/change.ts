import type {
  DeleteMessage,
  InsertMessage,
  LogicalMessage,
  OriginMessage,
  TruncateMessage,
  Tuple,
  UpdateMessage,
} from '../../pgoutput/messages.ts'
import type { DescribedRelation, RelationScope } from './relations.ts'

/** What a transaction consists of, beside descriptions. */
export type Change =
  InsertMessage | UpdateMessage | DeleteMessage | TruncateMessage | LogicalMessage | OriginMessage

/** Where a change belongs. */
export interface DescribedChange {
  xid: number | null
  isRow: boolean
  relations: readonly DescribedRelation[]
}

/** Null when a table was not described, or has another number of columns than the change. */
export function describeChange(change: Change, scope: RelationScope): DescribedChange | null {
  switch (change.type) {
    case 'insert':
      return describeRow(change.xid, scope.get(change.relationOid), change.new, null)
    case 'update':
      return describeRow(change.xid, scope.get(change.relationOid), change.new, change.old)
    case 'delete':
      return describeRow(change.xid, scope.get(change.relationOid), change.old, null)
    case 'truncate': {
      const relations = change.relationOids.map((oid) => scope.get(oid)).filter((one) => one !== undefined)
      if (relations.length !== change.relationOids.length) return null
      return { xid: change.xid, isRow: false, relations }
    }
    case 'message':
      return { xid: change.xid, isRow: false, relations: [] }
    case 'origin':
      return { xid: null, isRow: false, relations: [] }
  }
}

function describeRow(
  xid: number | null,
  relation: DescribedRelation | undefined,
  tuple: Tuple,
  old: Tuple | null,
): DescribedChange | null {
  if (relation === undefined || tuple.kinds.length !== relation.columnCount) return null
  if (old !== null && old.kinds.length !== relation.columnCount) return null
  return { xid, isRow: true, relations: [relation] }
}
