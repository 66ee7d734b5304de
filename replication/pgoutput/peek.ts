import { damagedMessage } from './message-reader.ts'

/** What an assembler needs of a message to know where it goes. */
export interface PeekedMessage {
  /** the first byte, e.g. 0x49 for an insert */
  tag: number
  /** the (sub)transaction of a change inside a stream block; null elsewhere */
  xid: number | null
  /** of a relation, insert, update or delete; null elsewhere */
  relationOid: number | null
}

/** Byte codes of the messages that are told apart most often; the others are for {@link decodeMessage}. */
export const messageTag = {
  begin: 0x42,
  commit: 0x43,
  delete: 0x44,
  insert: 0x49,
  logical: 0x4d,
  origin: 0x4f,
  relation: 0x52,
  streamStart: 0x53,
  streamStop: 0x45,
  streamCommit: 0x63,
  streamAbort: 0x41,
  truncate: 0x54,
  type: 0x59,
  update: 0x55,
} as const

/** True for the messages that carry a transaction id inside a stream block: R Y I U D T M. */
export function isStreamable(tag: number): boolean {
  switch (tag) {
    case messageTag.insert:
    case messageTag.update:
    case messageTag.delete:
    case messageTag.relation:
    case messageTag.type:
    case messageTag.truncate:
    case messageTag.logical:
      return true
    default:
      return false
  }
}

/** True for an insert, update or delete: what counts as a row. */
export function isRowChange(tag: number): boolean {
  return tag === messageTag.insert || tag === messageTag.update || tag === messageTag.delete
}

/**
 * Tag, transaction and relation of a message without decoding the rest, which may still be damaged.
 * @throws HomeportError PGOUTPUT_DAMAGED when it is too short even for that.
 */
export function peekMessage(bytes: Buffer, options: { inStream: boolean }): PeekedMessage {
  if (bytes.length === 0) throw damagedMessage(bytes, 0, 'it is empty')
  const tag = bytes[0]!
  const hasXid = options.inStream && isStreamable(tag)
  const hasRelation = isRowChange(tag) || tag === messageTag.relation
  const relationOffset = hasXid ? 5 : 1
  if (bytes.length < relationOffset + (hasRelation ? 4 : 0)) {
    throw damagedMessage(bytes, bytes.length, 'it ends within its ids')
  }
  return {
    tag,
    xid: hasXid ? bytes.readUInt32BE(1) : null,
    relationOid: hasRelation ? bytes.readUInt32BE(relationOffset) : null,
  }
}
