import { damagedMessage } from './message-reader.ts'
import type { BeginMessage, CommitMessage, RelationMessage, TypeMessage } from './messages.ts'
import { isStreamable, messageTag } from './peek.ts'

/**
 * A message from inside a stream block as an unstreamed session would send it: a copy without its transaction
 * id. The rest is not looked at.
 * @throws HomeportError PGOUTPUT_DAMAGED for anything but a relation, type, change, truncate or logical message.
 */
export function toPlainFrame(bytes: Buffer): Buffer {
  if (bytes.length === 0 || !isStreamable(bytes[0]!)) {
    throw damagedMessage(bytes, 0, 'it has no place inside a stream block')
  }
  if (bytes.length < 5) throw damagedMessage(bytes, bytes.length, 'it ends within its transaction id')
  const frame = Buffer.allocUnsafe(bytes.length - 4)
  frame[0] = bytes[0]!
  bytes.copy(frame, 1, 5)
  return frame
}

/** The begin of a transaction that was streamed, which has none of its own. */
export function encodeBegin(message: Omit<BeginMessage, 'type'>): Buffer {
  const frame = Buffer.allocUnsafe(21)
  frame[0] = messageTag.begin
  frame.writeBigUInt64BE(message.commitLsn, 1)
  frame.writeBigInt64BE(message.commitTimeUs, 9)
  frame.writeUInt32BE(message.xid, 17)
  return frame
}

/** The commit of a transaction that was streamed: its stream commit without the transaction id. */
export function encodeCommit(message: Omit<CommitMessage, 'type'>): Buffer {
  const frame = Buffer.allocUnsafe(26)
  frame[0] = messageTag.commit
  frame[1] = 0
  frame.writeBigUInt64BE(message.commitLsn, 2)
  frame.writeBigUInt64BE(message.endLsn, 10)
  frame.writeBigInt64BE(message.commitTimeUs, 18)
  return frame
}

/** A relation message as a session outside a stream block sends it; `xid` is left out. */
export function encodeRelation(message: RelationMessage): Buffer {
  return Buffer.concat([
    Buffer.of(messageTag.relation),
    uint32(message.oid),
    zeroEnded(message.schema),
    zeroEnded(message.name),
    Buffer.from(message.replicaIdentity, 'latin1'),
    int16(message.columns.length),
    ...message.columns.flatMap((column) => [
      Buffer.of(column.isKey ? 1 : 0),
      zeroEnded(column.name),
      uint32(column.typeOid),
      int32(column.typeModifier),
    ]),
  ])
}

/** A type message as a session outside a stream block sends it; `xid` is left out. */
export function encodeType(message: TypeMessage): Buffer {
  return Buffer.concat([
    Buffer.of(messageTag.type),
    uint32(message.oid),
    zeroEnded(message.schema),
    zeroEnded(message.name),
  ])
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8')
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeInt16BE(value)
  return bytes
}
