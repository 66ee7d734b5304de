import type { Logger } from '../../../core/log.ts'
import { formatLsn } from '../../../core/lsn.ts'
import type { PgoutputProtocol } from '../../pgoutput/decode.ts'
import type { Batch } from '../batch.ts'
import { SlotStream } from './slot-stream.ts'
import { openSpillFolder } from './spill-folder.ts'
import { chooseProtocol, renderStartCommand } from './start-command.ts'
import { primaryGone } from './stream-errors.ts'
import { chooseStart } from './stream-start.ts'
import { openWalConnection } from './wal-connection.ts'

export interface StreamOptions {
  /** the primary itself, as a role with the replication attribute */
  connectionString: string
  slot: string
  publication: string
  /** everything that ended here or before is durable, and is acknowledged at once; 0/0 is where the slot is */
  startLsn: string
  /** for transactions that do not fit into memory; what earlier processes left there is removed */
  spillFolder: string
  protocol?: 'auto' | PgoutputProtocol
  /** default true */
  binary?: boolean
  /** past this the socket is not read; default 32 MB */
  maxBufferedBytes?: number
  /** how long to wait for a slot that somebody reads; default 5 s */
  slotHeldTimeoutMs?: number
  signal: AbortSignal
  log: Logger
}

/** What a batch may hold; a transaction larger than that comes alone. */
export interface BatchLimits {
  maxRows: number
  maxBytes: number
  /** rows of table segments */
  maxSegments?: number
  /** in which it is read (default 8 MiB): until the first is made, who writes it has nothing to do */
  partBytes?: number
  /** Only transactions that ended there or before, and nothing that merely leads on; asked at every look. Null is no limit. */
  limit?: () => bigint | null
}

/** Who and where the stream comes from. */
export interface StreamIdentity {
  systemIdentifier: string
  timeline: number
  /** what the primary had written and flushed when the stream began */
  walLsn: string
  /** 0 is never */
  walSenderTimeoutMs: number
  serverVersion: number
  protocol: PgoutputProtocol
}

/** The committed transactions of a slot, whole and in order; see {@link openReplicationStream}. */
export interface ReplicationStream {
  readonly identity: StreamIdentity
  /**
   * The next batch: whatever whole transactions are there up to the limits, or, when all is acknowledged, an empty one
   * that leads on past log that concerns nobody. Waits for it. Null once the signal has aborted.
   * @throws HomeportError what ended the stream; there is nothing more to come then.
   */
  nextBatch(limits: BatchLimits): Promise<Batch | null>
  /**
   * Everything until the end of this batch is durable. After the stream has ended it does nothing.
   * @throws HomeportError ACKNOWLEDGED_TOO_FAR for a position that no batch has led to.
   */
  ackDurable(endLsn: string): void
  /** Looks again at what may be taken: the limit has changed. */
  look(): void
  /** Whether everything that ended there or before has come, and nothing of it waits. */
  hasHandedOut(lsn: bigint): boolean
  /** how far the primary has sent */
  readonly receivedLsn: string
  readonly ackedLsn: string
  /** of whole transactions that wait here */
  readonly queuedBytes: number
  /** Sends the last acknowledgement exactly, ends the stream in order and forgets what was not handed out. */
  close(): Promise<void>
}

const defaultBufferedBytes = 32 * 1024 * 1024

/**
 * Opens the stream of a slot and keeps the connection alive, however slow the consumer is: status updates go on while
 * the socket waits. The slot moves only by {@link ReplicationStream.ackDurable}, never past it.
 *
 * @throws HomeportError SLOT_MISSING, SLOT_FOREIGN, SLOT_LOST, SLOT_RECREATED, SLOT_HELD (by whom), PRIMARY_REWOUND,
 *   PRIMARY_UNREACHABLE, POOLED_CONNECTION. Later, from nextBatch: STREAM_SILENT, PGOUTPUT_DAMAGED, TWO_PHASE_SLOT,
 *   SPILL_FAILED, PUBLICATION_MISSING, SLOT_LOST, PRIMARY_UNREACHABLE.
 */
export async function openReplicationStream(options: StreamOptions): Promise<ReplicationStream> {
  const spillFolder = await openSpillFolder(options.spillFolder)
  let stream: SlotStream | undefined
  await openWalConnection({
    ...options,
    slotHeldTimeoutMs: options.slotHeldTimeoutMs ?? 5_000,
    begin: (connection, start) => {
      const protocol =
        options.protocol === undefined || options.protocol === 'auto'
          ? chooseProtocol(start.serverVersion)
          : options.protocol
      const startLsn = chooseStart(start, options.slot, options.startLsn)
      const opened = new SlotStream({
        ...options,
        maxBufferedBytes: options.maxBufferedBytes ?? defaultBufferedBytes,
        connection,
        start,
        startLsn,
        protocol,
        spillFolder,
      })
      stream = opened
      const command = renderStartCommand({
        ...options,
        startLsn: formatLsn(startLsn),
        protocol,
        binary: options.binary ?? true,
      })
      return {
        command,
        handlers: { onMessage: (bytes) => opened.receive(bytes), onEnd: (error) => opened.fail(error) },
      }
    },
  })
  if (stream === undefined) throw primaryGone('the primary ended the connection before it streamed')
  stream.begin()
  return stream
}
