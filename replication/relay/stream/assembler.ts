import { HomeportError } from '../../../core/errors.ts'
import { formatLsn } from '../../../core/lsn.ts'
import { decodeMessage, type PgoutputProtocol } from '../../pgoutput/decode.ts'
import type {
  CommitMessage,
  PgoutputMessage,
  StreamAbortMessage,
  StreamCommitMessage,
  StreamStartMessage,
} from '../../pgoutput/messages.ts'
import { toPlainFrame } from '../../pgoutput/plain-frame.ts'
import { describeChange, type Change } from './change.ts'
import { FrameLog } from './frame-log.ts'
import { Relations } from './relations.ts'
import { OpenTransaction, type Transaction } from './transaction.ts'

export interface AssemblerOptions {
  protocol: PgoutputProtocol
  /** a transaction larger than this moves to disk */
  maxTransactionBytes: number
  /** all transactions that are still arriving together; past it the largest moves to disk */
  maxOpenBytes: number
  newSpillPath: () => string
}

/**
 * Puts whole transactions together from the messages of one stream, in commit order: plain ones between begin and
 * commit, streamed ones from their blocks, whose savepoints may still be rolled back. Every message is decoded in full,
 * so that nothing damaged is ever acknowledged; after an error it must not be fed any more.
 */
export class Assembler {
  readonly #options: AssemblerOptions
  readonly #relations = new Relations()
  readonly #streamed = new Map<number, OpenTransaction>()
  #plain: { transaction: OpenTransaction; commitLsn: bigint } | null = null
  #block: OpenTransaction | null = null
  #openBytes = 0
  /** end of the last commit; what follows in commit order begins there or later */
  #lastEndLsn = 0n

  constructor(options: AssemblerOptions) {
    this.#options = options
  }

  /** Whether a transaction has begun to arrive and has not ended. */
  get isOpen(): boolean {
    return this.#plain !== null || this.#streamed.size > 0
  }

  /**
   * Takes the next message, which may be overwritten afterwards. Returns the transaction that it completed, or null.
   * @throws HomeportError PGOUTPUT_DAMAGED for a damaged message or one that cannot come now, TWO_PHASE_SLOT,
   *   SPILL_FAILED.
   */
  push(bytes: Buffer): Transaction | null {
    const inStream = this.#block !== null
    const message = decodeMessage(bytes, { inStream, protocol: this.#options.protocol })
    switch (message.type) {
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
      case 'origin':
        this.#append(message, bytes)
        return null
      case 'message':
        // Written outside of any transaction: nothing waits for it, and nothing is applied because of it.
        if (message.isTransactional) this.#append(message, bytes)
        return null
      case 'relation':
        this.#relations.add(this.#current(message).relations, message, copyFrame(bytes, inStream))
        return null
      case 'type':
        this.#current(message)
        this.#relations.addType(message.oid, copyFrame(bytes, inStream))
        return null
      case 'begin':
        this.#requireNoBlock(message)
        this.#plain = {
          transaction: new OpenTransaction(message.xid, new FrameLog(), this.#relations.committed),
          commitLsn: message.commitLsn,
        }
        return null
      case 'commit':
        return this.#commit(message)
      case 'streamStart':
        this.#startBlock(message)
        return null
      case 'streamStop':
        if (this.#block === null) throw unexpected(message, 'no block is open')
        this.#block = null
        return null
      case 'streamCommit':
        return this.#commitStreamed(message)
      case 'streamAbort':
        this.#abort(message)
        return null
      case 'twoPhase':
        throw new HomeportError(
          'TWO_PHASE_SLOT',
          `the slot sends prepared transactions (${message.kind}), which the relay does not take`,
          { hint: 'ops reseed makes a new slot, without two_phase, and copies everything again' },
        )
    }
  }

  /** Whether a transaction that has been committed is arriving. */
  get isInTransaction(): boolean {
    return this.#plain !== null
  }

  /** Forgets what is open and removes its files. */
  async discard(): Promise<void> {
    const open = [...this.#streamed.values(), ...(this.#plain === null ? [] : [this.#plain.transaction])]
    this.#streamed.clear()
    this.#plain = null
    await Promise.all(open.map((transaction) => transaction.frames.release()))
  }

  #append(message: Change, bytes: Buffer): void {
    const transaction = this.#current(message)
    const change = describeChange(message, transaction.relations)
    if (change === null) throw unexpected(message, 'its table, or as many columns, were never described')
    const before = transaction.frames.memoryBytes
    transaction.append(copyFrame(bytes, this.#block !== null && message.type !== 'origin'), change)
    this.#openBytes += transaction.frames.memoryBytes - before
    this.#boundMemory(transaction)
  }

  #boundMemory(transaction: OpenTransaction): void {
    if (transaction.frames.memoryBytes > this.#options.maxTransactionBytes) this.#spill(transaction)
    while (this.#openBytes > this.#options.maxOpenBytes) {
      const open = [...this.#streamed.values(), ...(this.#plain === null ? [] : [this.#plain.transaction])]
      this.#spill(open.reduce((a, b) => (b.frames.memoryBytes > a.frames.memoryBytes ? b : a)))
    }
  }

  #spill(transaction: OpenTransaction): void {
    this.#openBytes -= transaction.frames.memoryBytes
    transaction.frames.spill(this.#options.newSpillPath())
  }

  /** The transaction that a message belongs to which does not say so itself. */
  #current(message: PgoutputMessage): OpenTransaction {
    const current = this.#block ?? this.#plain?.transaction
    if (current === undefined) throw unexpected(message, 'no transaction is open')
    return current
  }

  #requireNoBlock(message: PgoutputMessage): void {
    if (this.#block !== null || this.#plain !== null) {
      throw unexpected(message, 'another transaction has not ended')
    }
  }

  #commit(message: CommitMessage): Transaction {
    const plain = this.#plain
    if (plain === null) throw unexpected(message, 'no transaction has begun')
    if (plain.commitLsn !== message.commitLsn) {
      throw unexpected(message, `the transaction announced ${formatLsn(plain.commitLsn)}`)
    }
    this.#plain = null
    return this.#complete(plain.transaction, message)
  }

  #startBlock(message: StreamStartMessage): void {
    this.#requireNoBlock(message)
    const known = this.#streamed.get(message.xid)
    if (message.isFirst !== (known === undefined)) {
      throw unexpected(
        message,
        `transaction ${message.xid} ${known ? 'has begun already' : 'was never begun'}`,
      )
    }
    this.#block = known ?? new OpenTransaction(message.xid, new FrameLog(), new Map())
    this.#streamed.set(message.xid, this.#block)
  }

  #commitStreamed(message: StreamCommitMessage): Transaction {
    const transaction = this.#endStreamed(message)
    this.#relations.commit(transaction.relations)
    return this.#complete(transaction, message)
  }

  #endStreamed(message: StreamCommitMessage | StreamAbortMessage): OpenTransaction {
    this.#requireNoBlock(message)
    const transaction = this.#streamed.get(message.xid)
    if (transaction === undefined) throw unexpected(message, `transaction ${message.xid} was never begun`)
    this.#streamed.delete(message.xid)
    return transaction
  }

  #abort(message: StreamAbortMessage): void {
    const transaction = this.#endStreamed(message)
    this.#openBytes -= transaction.frames.memoryBytes
    if (message.subXid === message.xid) {
      transaction.frames.release().catch(() => undefined)
      return
    }
    transaction.abortSubtransaction(message.subXid)
    this.#openBytes += transaction.frames.memoryBytes
    this.#streamed.set(message.xid, transaction)
  }

  #complete(transaction: OpenTransaction, commit: CommitMessage | StreamCommitMessage): Transaction {
    const { commitLsn, endLsn, commitTimeUs } = commit
    if (commitLsn < this.#lastEndLsn || endLsn <= commitLsn) {
      throw unexpected(commit, `the last commit ended at ${formatLsn(this.#lastEndLsn)}`)
    }
    this.#lastEndLsn = endLsn
    this.#openBytes -= transaction.frames.memoryBytes
    transaction.frames.seal()
    const { xid, frames, rows, segmentRows, descriptions } = transaction
    return { xid, commitLsn, endLsn, commitTimeUs, rows, segmentRows, frames, descriptions }
  }
}

function copyFrame(bytes: Buffer, inStream: boolean): Buffer {
  return inStream ? toPlainFrame(bytes) : Buffer.from(bytes)
}

function unexpected(message: PgoutputMessage, problem: string): HomeportError {
  return new HomeportError('PGOUTPUT_DAMAGED', `a ${message.type} message cannot come here: ${problem}`, {
    hint: 'run ops relay again: it asks for the same transactions once more',
  })
}
