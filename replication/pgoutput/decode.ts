import { readTuple } from './decode-tuple.ts'
import { MessageReader } from './message-reader.ts'
import type {
  CommitMessage,
  DeleteMessage,
  LogicalMessage,
  PgoutputMessage,
  RelationColumn,
  RelationMessage,
  StreamAbortMessage,
  TruncateMessage,
  TwoPhaseMessage,
  UpdateMessage,
} from './messages.ts'

export type PgoutputProtocol = 1 | 2 | 3 | 4

export interface DecodeOptions {
  /** between a stream start and its stop: changes carry a transaction id there */
  inStream: boolean
  protocol: PgoutputProtocol
}

/**
 * One message of pgoutput (source: "Logical Replication Message Formats" and proto.c of Postgres 14 to 18).
 * Values are views into `bytes`; nothing is parsed. A pg_catalog schema is the empty string, as on the wire.
 * Says nothing about the order of messages: that is its reader's to check.
 * @throws HomeportError PGOUTPUT_DAMAGED, naming the tag and the byte, for everything that Postgres does not send:
 * unknown tags, counts and lengths past the end, bytes too many.
 */
export function decodeMessage(bytes: Buffer, options: DecodeOptions): PgoutputMessage {
  const reader = new MessageReader(bytes)
  const message = readMessage(reader, options)
  reader.end()
  return message
}

function readMessage(reader: MessageReader, { inStream, protocol }: DecodeOptions): PgoutputMessage {
  // No closures in here: this runs for every row, and loaders that keep function names pay for each of them.
  const tag = String.fromCharCode(reader.byte('the tag'))
  switch (tag) {
    case 'I':
      return {
        type: 'insert',
        xid: readXid(reader, inStream),
        relationOid: reader.id('the relation'),
        new: (expectByte(reader, 'N'), readTuple(reader)),
      }
    case 'U':
      return readUpdate(reader, readXid(reader, inStream))
    case 'D':
      return readDelete(reader, readXid(reader, inStream))
    case 'B':
      return {
        type: 'begin',
        commitLsn: reader.lsn('the commit position'),
        commitTimeUs: reader.timeUs('the commit time'),
        xid: reader.id('the transaction id'),
      }
    case 'C':
      return { type: 'commit', ...readCommit(reader) }
    case 'O':
      return { type: 'origin', commitLsn: reader.anyLsn('the position'), name: reader.text('the name') }
    case 'R':
      return readRelation(reader, readXid(reader, inStream))
    case 'Y':
      return {
        type: 'type',
        xid: readXid(reader, inStream),
        oid: reader.id('the type'),
        schema: reader.text('the schema'),
        name: reader.text('the name'),
      }
    case 'T':
      return readTruncate(reader, readXid(reader, inStream))
    case 'M':
      return readLogical(reader, readXid(reader, inStream))
    case 'S':
      requireProtocol(reader, protocol, 2)
      return {
        type: 'streamStart',
        xid: reader.id('the transaction id'),
        isFirst: reader.flags(1, 'the first segment flag') === 1,
      }
    case 'E':
      requireProtocol(reader, protocol, 2)
      return { type: 'streamStop' }
    case 'c':
      requireProtocol(reader, protocol, 2)
      return { type: 'streamCommit', xid: reader.id('the transaction id'), ...readCommit(reader) }
    case 'A':
      requireProtocol(reader, protocol, 2)
      return readStreamAbort(reader, protocol)
    case 'b':
    case 'P':
    case 'K':
    case 'r':
    case 'p':
      requireProtocol(reader, protocol, 3)
      return readTwoPhase(reader, tag)
    default:
      throw reader.damage('the tag is unknown', 0)
  }
}

function readXid(reader: MessageReader, inStream: boolean): number | null {
  return inStream ? reader.id('the transaction id') : null
}

function requireProtocol(reader: MessageReader, protocol: PgoutputProtocol, first: PgoutputProtocol): void {
  if (protocol < first) throw reader.damage(`protocol ${protocol} has no such message`, 0)
}

function expectByte(reader: MessageReader, wanted: string): void {
  const found = reader.byte(`the mark '${wanted}'`)
  if (found !== wanted.charCodeAt(0)) throw reader.damage(`'${wanted}' expected`, reader.offset - 1)
}

function readCommit(reader: MessageReader): Omit<CommitMessage, 'type'> {
  reader.flags(0, 'the commit')
  return {
    commitLsn: reader.lsn('the commit position'),
    endLsn: reader.lsn('the end position'),
    commitTimeUs: reader.timeUs('the commit time'),
  }
}

function readUpdate(reader: MessageReader, xid: number | null): UpdateMessage {
  const relationOid = reader.id('the relation')
  const mark = reader.bytes[reader.offset]
  const oldKind = mark === 0x4b ? 'key' : mark === 0x4f ? 'full' : null
  if (oldKind !== null) reader.offset += 1
  const old = oldKind === null ? null : readTuple(reader)
  expectByte(reader, 'N')
  return { type: 'update', xid, relationOid, old, oldKind, new: readTuple(reader) }
}

function readDelete(reader: MessageReader, xid: number | null): DeleteMessage {
  const relationOid = reader.id('the relation')
  const mark = reader.byte("the mark 'K' or 'O'")
  if (mark !== 0x4b && mark !== 0x4f) throw reader.damage("'K' or 'O' expected", reader.offset - 1)
  return { type: 'delete', xid, relationOid, oldKind: mark === 0x4b ? 'key' : 'full', old: readTuple(reader) }
}

function readRelation(reader: MessageReader, xid: number | null): RelationMessage {
  const oid = reader.id('the relation')
  const schema = reader.text('the schema')
  const name = reader.text('the name')
  const replicaIdentity = String.fromCharCode(reader.byte('the replica identity'))
  if (
    replicaIdentity !== 'd' &&
    replicaIdentity !== 'n' &&
    replicaIdentity !== 'f' &&
    replicaIdentity !== 'i'
  ) {
    throw reader.damage('the replica identity is unknown', reader.offset - 1)
  }
  // flag, an empty name's end, type and modifier
  const count = reader.count16(10, 'the number of columns')
  const columns: RelationColumn[] = []
  for (let column = 0; column < count; column++) {
    columns.push({
      isKey: reader.flags(1, 'the column') === 1,
      name: reader.text('the name of the column'),
      typeOid: reader.id('the type of the column'),
      typeModifier: reader.int32('the type modifier'),
    })
  }
  return { type: 'relation', xid, oid, schema, name, replicaIdentity, columns }
}

function readTruncate(reader: MessageReader, xid: number | null): TruncateMessage {
  const countOffset = reader.offset
  const count = reader.int32('the number of relations')
  const flags = reader.flags(3, 'the truncate')
  if (count * 4 !== reader.remaining) {
    throw reader.damage(`${count} relations in ${reader.remaining} bytes`, countOffset)
  }
  const relationOids: number[] = []
  for (let relation = 0; relation < count; relation++) relationOids.push(reader.id('the relation'))
  return {
    type: 'truncate',
    xid,
    relationOids,
    cascade: (flags & 1) !== 0,
    restartIdentity: (flags & 2) !== 0,
  }
}

function readLogical(reader: MessageReader, xid: number | null): LogicalMessage {
  return {
    type: 'message',
    xid,
    isTransactional: reader.flags(1, 'the message') === 1,
    lsn: reader.anyLsn('the position'),
    prefix: reader.text('the prefix'),
    content: reader.view(reader.count32(1, 'the length of the content'), 'the content'),
  }
}

/** In protocol 4 position and time follow only where the session streams in parallel, which the message does not say: its length does. */
function readStreamAbort(reader: MessageReader, protocol: PgoutputProtocol): StreamAbortMessage {
  const xid = reader.id('the transaction id')
  const subXid = reader.id('the subtransaction id')
  if (protocol < 4 || reader.remaining === 0) {
    return { type: 'streamAbort', xid, subXid, abortLsn: null, abortTimeUs: null }
  }
  return {
    type: 'streamAbort',
    xid,
    subXid,
    abortLsn: reader.anyLsn('the abort position'),
    abortTimeUs: reader.timeUs('the abort time'),
  }
}

/** What follows is skipped, but must be there: flags, positions and times, the transaction id, the gid. */
const twoPhaseKinds = {
  b: { kind: 'beginPrepare', skippedBytes: 8 + 8 + 8 },
  P: { kind: 'prepare', skippedBytes: 1 + 8 + 8 + 8 },
  K: { kind: 'commitPrepared', skippedBytes: 1 + 8 + 8 + 8 },
  r: { kind: 'rollbackPrepared', skippedBytes: 1 + 8 + 8 + 8 + 8 },
  p: { kind: 'streamPrepare', skippedBytes: 1 + 8 + 8 + 8 },
} as const

function readTwoPhase(reader: MessageReader, tag: keyof typeof twoPhaseKinds): TwoPhaseMessage {
  const { kind, skippedBytes } = twoPhaseKinds[tag]
  reader.skip(skippedBytes, 'what describes the prepared transaction')
  reader.id('the transaction id')
  reader.text('the name of the prepared transaction')
  return { type: 'twoPhase', kind }
}
