/**
 * The messages of pgoutput, protocol 1 to 4, as the documentation names them ("Logical Replication
 * Message Formats"). Log positions are bigints; times are microseconds since 2000-01-01, as on the wire.
 */
export type PgoutputMessage =
  | BeginMessage
  | CommitMessage
  | OriginMessage
  | RelationMessage
  | TypeMessage
  | InsertMessage
  | UpdateMessage
  | DeleteMessage
  | TruncateMessage
  | LogicalMessage
  | StreamStartMessage
  | StreamStopMessage
  | StreamCommitMessage
  | StreamAbortMessage
  | TwoPhaseMessage

/** Byte codes of {@link Tuple.kinds}. */
export const columnKind = { null: 0x6e, unchanged: 0x75, text: 0x74, binary: 0x62 } as const

/** The columns of one row in the order of its relation message, as bytes that nobody has parsed. */
export interface Tuple {
  /** one byte a column: null, unchanged (a TOASTed value that was not sent), text or binary */
  kinds: Uint8Array
  /** the bytes of a text or binary column (a view into the message); null for the other two */
  values: readonly (Buffer | null)[]
}

export interface BeginMessage {
  type: 'begin'
  /** where the transaction's commit record starts */
  commitLsn: bigint
  commitTimeUs: bigint
  xid: number
}

export interface CommitMessage {
  type: 'commit'
  /** where the commit record starts */
  commitLsn: bigint
  /** just after the commit record: what is acknowledged once the transaction is durable in the cloud */
  endLsn: bigint
  commitTimeUs: bigint
}

export interface OriginMessage {
  type: 'origin'
  commitLsn: bigint
  name: string
}

/** Inside a stream block every message below carries the (sub)transaction it belongs to; else `xid` is null. */
interface Streamable {
  xid: number | null
}

export interface RelationColumn {
  name: string
  /** part of the replica identity */
  isKey: boolean
  typeOid: number
  typeModifier: number
}

export interface RelationMessage extends Streamable {
  type: 'relation'
  oid: number
  schema: string
  name: string
  /** d default, n nothing, f full, i index */
  replicaIdentity: 'd' | 'n' | 'f' | 'i'
  columns: readonly RelationColumn[]
}

export interface TypeMessage extends Streamable {
  type: 'type'
  oid: number
  schema: string
  name: string
}

export interface InsertMessage extends Streamable {
  type: 'insert'
  relationOid: number
  new: Tuple
}

export interface UpdateMessage extends Streamable {
  type: 'update'
  relationOid: number
  /** the replica identity before, where it changed (key), or the whole row before (full); null when neither was sent */
  old: Tuple | null
  oldKind: 'key' | 'full' | null
  new: Tuple
}

export interface DeleteMessage extends Streamable {
  type: 'delete'
  relationOid: number
  old: Tuple
  oldKind: 'key' | 'full'
}

export interface TruncateMessage extends Streamable {
  type: 'truncate'
  relationOids: readonly number[]
  cascade: boolean
  restartIdentity: boolean
}

/** What pg_logical_emit_message wrote. */
export interface LogicalMessage extends Streamable {
  type: 'message'
  isTransactional: boolean
  lsn: bigint
  prefix: string
  content: Buffer
}

export interface StreamStartMessage {
  type: 'streamStart'
  xid: number
  isFirst: boolean
}

export interface StreamStopMessage {
  type: 'streamStop'
}

export interface StreamCommitMessage {
  type: 'streamCommit'
  xid: number
  commitLsn: bigint
  endLsn: bigint
  commitTimeUs: bigint
}

export interface StreamAbortMessage {
  type: 'streamAbort'
  xid: number
  /** the transaction itself, or one of its savepoints */
  subXid: number
  /** sent in protocol 4 with streaming = parallel only */
  abortLsn: bigint | null
  abortTimeUs: bigint | null
}

/** Known, so that it is named when it comes; we never ask for two-phase decoding. */
export interface TwoPhaseMessage {
  type: 'twoPhase'
  kind: 'beginPrepare' | 'prepare' | 'commitPrepared' | 'rollbackPrepared' | 'streamPrepare'
}
