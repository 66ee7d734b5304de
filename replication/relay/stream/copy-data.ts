import { HomeportError } from '../../../core/errors.ts'

// "Streaming Replication Protocol" of the documentation: what travels inside CopyData in both directions.

/** A piece of log, here one pgoutput message. */
export interface WalData {
  kind: 'wal'
  lsn: bigint
  /** a view: it is overwritten by what arrives next */
  payload: Buffer
}

/** The server has sent everything up to here. */
export interface Keepalive {
  kind: 'keepalive'
  lsn: bigint
  /** it ends the connection unless we answer soon */
  isReplyRequested: boolean
}

const walTag = 0x77
const keepaliveTag = 0x6b
const walHeaderBytes = 25
const keepaliveBytes = 18

/** @throws HomeportError PGOUTPUT_DAMAGED for anything but the two messages that a walsender sends. */
export function decodeCopyData(bytes: Buffer): WalData | Keepalive {
  const tag = bytes[0]
  if (tag === walTag && bytes.length > walHeaderBytes) {
    return { kind: 'wal', lsn: bytes.readBigUInt64BE(1), payload: bytes.subarray(walHeaderBytes) }
  }
  if (tag === keepaliveTag && bytes.length === keepaliveBytes) {
    return { kind: 'keepalive', lsn: bytes.readBigUInt64BE(1), isReplyRequested: bytes[17] !== 0 }
  }
  throw new HomeportError(
    'PGOUTPUT_DAMAGED',
    `the primary sent ${bytes.length} bytes that are neither log nor a keepalive (first byte ${tag ?? 'missing'})`,
    { hint: 'run ops relay again: it asks for the same transactions once more' },
  )
}

export interface StatusUpdate {
  /** everything that ended here or before is durable in the cloud, or in the spool: exactly, never a byte more */
  durableLsn: bigint
  nowMs: number
  /** ask the server for a sign of life */
  isReplyRequested: boolean
}

const epochMs = Date.UTC(2000, 0, 1)

/**
 * A standby status update. Written, flushed and applied are all the durable position: what only lies in our memory
 * counts for nothing. The documentation's "last WAL byte + 1" is what pgoutput calls the end of a commit, so
 * nothing is added; with one byte more the server skips a transaction whose commit begins right there.
 */
export function encodeStatusUpdate(status: StatusUpdate): Buffer {
  const bytes = Buffer.alloc(34)
  bytes[0] = 0x72
  bytes.writeBigUInt64BE(status.durableLsn, 1)
  bytes.writeBigUInt64BE(status.durableLsn, 9)
  bytes.writeBigUInt64BE(status.durableLsn, 17)
  bytes.writeBigInt64BE(BigInt(Math.trunc(status.nowMs) - epochMs) * 1000n, 25)
  bytes[33] = status.isReplyRequested ? 1 : 0
  return bytes
}
