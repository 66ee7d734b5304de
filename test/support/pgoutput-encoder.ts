import {
  columnKind,
  type PgoutputMessage,
  type Tuple,
  type TwoPhaseMessage,
} from '../../replication/pgoutput/messages.ts'

/**
 * The bytes of a message as Postgres would send them, written from the documentation and sharing nothing
 * with the decoder. A change carries its transaction id when `xid` is set; a stream abort its position when set.
 */
export function encodeMessage(message: PgoutputMessage): Buffer {
  switch (message.type) {
    case 'begin':
      return bytes('B', u64(message.commitLsn), i64(message.commitTimeUs), u32(message.xid))
    case 'commit':
      return bytes('C', u8(0), u64(message.commitLsn), u64(message.endLsn), i64(message.commitTimeUs))
    case 'origin':
      return bytes('O', u64(message.commitLsn), text(message.name))
    case 'relation':
      return bytes(
        'R',
        ids(message.xid, message.oid),
        text(message.schema),
        text(message.name),
        message.replicaIdentity,
        u16(message.columns.length),
        ...message.columns.flatMap((column) => [
          u8(column.isKey ? 1 : 0),
          text(column.name),
          u32(column.typeOid),
          i32(column.typeModifier),
        ]),
      )
    case 'type':
      return bytes('Y', ids(message.xid, message.oid), text(message.schema), text(message.name))
    case 'insert':
      return bytes('I', ids(message.xid, message.relationOid), 'N', tuple(message.new))
    case 'update':
      return bytes(
        'U',
        ids(message.xid, message.relationOid),
        ...(message.old === null ? [] : [message.oldKind === 'key' ? 'K' : 'O', tuple(message.old)]),
        'N',
        tuple(message.new),
      )
    case 'delete':
      return bytes(
        'D',
        ids(message.xid, message.relationOid),
        message.oldKind === 'key' ? 'K' : 'O',
        tuple(message.old),
      )
    case 'truncate':
      return bytes(
        'T',
        ids(message.xid),
        u32(message.relationOids.length),
        u8((message.cascade ? 1 : 0) + (message.restartIdentity ? 2 : 0)),
        ...message.relationOids.map(u32),
      )
    case 'message':
      return bytes(
        'M',
        ids(message.xid),
        u8(message.isTransactional ? 1 : 0),
        u64(message.lsn),
        text(message.prefix),
        u32(message.content.length),
        message.content,
      )
    case 'streamStart':
      return bytes('S', u32(message.xid), u8(message.isFirst ? 1 : 0))
    case 'streamStop':
      return bytes('E')
    case 'streamCommit':
      return bytes(
        'c',
        u32(message.xid),
        u8(0),
        u64(message.commitLsn),
        u64(message.endLsn),
        i64(message.commitTimeUs),
      )
    case 'streamAbort':
      return bytes(
        'A',
        u32(message.xid),
        u32(message.subXid),
        ...(message.abortLsn === null ? [] : [u64(message.abortLsn), i64(message.abortTimeUs ?? 0n)]),
      )
    case 'twoPhase':
      return twoPhase(message.kind)
  }
}

/** One row: a string is sent as text, bytes as binary, null as null, undefined as an unchanged TOASTed value. */
export function tupleOf(columns: readonly (string | Buffer | null | undefined)[]): Tuple {
  return {
    kinds: Uint8Array.from(columns, (column) =>
      column === null
        ? columnKind.null
        : column === undefined
          ? columnKind.unchanged
          : typeof column === 'string'
            ? columnKind.text
            : columnKind.binary,
    ),
    values: columns.map((column) => (typeof column === 'string' ? Buffer.from(column) : (column ?? null))),
  }
}

function twoPhase(kind: TwoPhaseMessage['kind']): Buffer {
  const [lsn, endLsn, timeUs, xid, gid] = [u64(1n), u64(2n), i64(3n), u32(4), text('gid')]
  switch (kind) {
    case 'beginPrepare':
      return bytes('b', lsn, endLsn, timeUs, xid, gid)
    case 'prepare':
      return bytes('P', u8(0), lsn, endLsn, timeUs, xid, gid)
    case 'commitPrepared':
      return bytes('K', u8(0), lsn, endLsn, timeUs, xid, gid)
    case 'rollbackPrepared':
      return bytes('r', u8(0), lsn, endLsn, timeUs, timeUs, xid, gid)
    case 'streamPrepare':
      return bytes('p', u8(0), lsn, endLsn, timeUs, xid, gid)
  }
}

function tuple({ kinds, values }: Tuple): Buffer {
  return bytes(
    u16(kinds.length),
    ...[...kinds].flatMap((kind, column) => {
      const value = values[column]
      return value === null || value === undefined ? [u8(kind)] : [u8(kind), u32(value.length), value]
    }),
  )
}

function ids(...values: (number | null)[]): Buffer {
  return bytes(...values.filter((value) => value !== null).map(u32))
}

function bytes(...pieces: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)),
  )
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

function u8(value: number): Buffer {
  return Buffer.of(value)
}

function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}

function u32(value: number): Buffer {
  const piece = Buffer.alloc(4)
  piece.writeUInt32BE(value)
  return piece
}

function i32(value: number): Buffer {
  const piece = Buffer.alloc(4)
  piece.writeInt32BE(value)
  return piece
}

function u64(value: bigint): Buffer {
  const piece = Buffer.alloc(8)
  piece.writeBigUInt64BE(value)
  return piece
}

function i64(value: bigint): Buffer {
  const piece = Buffer.alloc(8)
  piece.writeBigInt64BE(value)
  return piece
}
