import { formatLsn } from '../../../core/lsn.ts'
import { encodeBegin, encodeCommit } from '../../pgoutput/plain-frame.ts'
import type { Batch, BatchHeader, BatchPart } from '../batch.ts'
import { PartBuilder } from './part-builder.ts'
import type { Transaction } from './transaction.ts'

/** What every batch of one stream says about itself. */
export interface StreamOrigin {
  slot: string
  systemIdentifier: string
  timeline: number
}

export interface StreamBatchOptions {
  origin: StreamOrigin
  after: bigint
  /** where it leads to; the end of the last transaction, when there is one */
  end: bigint
  transactions: readonly Transaction[]
  /** a part is closed as soon as it is larger */
  partBytes: number
  onRelease?: () => void
}

/** Offset between the epochs of Postgres and Unix. */
const epochMs = Date.UTC(2000, 0, 1)

/** Whole transactions, or none and a position, as a batch. The header's counts are of the whole batch in every part. */
export function createBatch(options: StreamBatchOptions): Batch {
  const { origin, transactions } = options
  const last = transactions.at(-1)
  const after = formatLsn(options.after)
  const end = formatLsn(options.end)
  const header: Omit<BatchHeader, 'part' | 'isLastPart'> = {
    ...origin,
    after,
    end,
    commit: last === undefined ? end : formatLsn(last.commitLsn),
    transactions: transactions.length,
    rows: transactions.reduce((sum, transaction) => sum + transaction.rows, 0),
  }
  const oldest = transactions[0]
  return {
    slot: origin.slot,
    after,
    end,
    oldestCommitAt: oldest === undefined ? null : commitTime(oldest),
    parts: () => readParts(transactions, header, options.partBytes),
    release: async () => {
      await Promise.all(transactions.map((transaction) => transaction.frames.release()))
      options.onRelease?.()
    },
  }
}

async function* readParts(
  transactions: readonly Transaction[],
  header: Omit<BatchHeader, 'part' | 'isLastPart'>,
  partBytes: number,
): AsyncGenerator<BatchPart> {
  const builder = new PartBuilder()
  let part = 0
  for (const transaction of transactions) {
    builder.add(encodeBegin(transaction))
    for await (const frames of transaction.frames.read()) {
      for (const frame of frames) {
        // Closed only once something follows, so that the last one is known.
        if (builder.bytes >= partBytes) {
          yield { header: { ...header, part, isLastPart: false }, frames: builder.take() }
          part += 1
        }
        builder.add(frame)
      }
    }
    builder.add(encodeCommit(transaction))
  }
  yield { header: { ...header, part, isLastPart: true }, frames: builder.take() }
}

function commitTime(transaction: Transaction): string {
  return new Date(Number(transaction.commitTimeUs / 1000n) + epochMs).toISOString()
}
