import { sleep } from '../../core/backoff.ts'
import { HomeportError } from '../../core/errors.ts'
import { formatLsn, parseLsn } from '../../core/lsn.ts'
import { decodeMessage } from '../pgoutput/decode.ts'
import { messageTag, peekMessage } from '../pgoutput/peek.ts'
import type { Batch } from './batch.ts'
import type { BatchLimits, ReplicationStream } from './stream/replication-stream.ts'

/** What the cloud has of the primary's log. */
export interface KnownHistory {
  /** start of the last commit record that it has of a transaction that changed something; there is none from there to `endLsn` */
  commitLsn: string
  endLsn: string
}

export interface CommitPosition {
  commitLsn: bigint
  endLsn: bigint
}

/**
 * Whether commits that are sent again are those that the cloud has. A primary that was restored to an older state and
 * has written on since looks, by its positions, like one that is only further: but where the cloud has its last commit
 * there is another record now. Its slot went back with it, so that what lies between is sent again and can be compared.
 */
export class HistoryCheck {
  readonly #commitLsn: bigint
  readonly #endLsn: bigint
  #isDue: boolean
  #isDone = false

  /** @param fromLsn where reading begins; from `endLsn` on there is nothing to compare */
  constructor(known: KnownHistory, fromLsn: string) {
    this.#commitLsn = parseLsn(known.commitLsn)
    this.#endLsn = parseLsn(known.endLsn)
    const from = parseLsn(fromLsn)
    this.#isDone = from >= this.#endLsn
    this.#isDue = from < this.#commitLsn
  }

  /** All that could be compared was. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** The last commit that the cloud has must still come. */
  get isCommitDue(): boolean {
    return this.#isDue
  }

  /** Takes the commits of one batch, in order, and where it ends. False: this is another history. */
  fits(commits: readonly CommitPosition[], batchEndLsn: bigint): boolean {
    for (const { commitLsn, endLsn } of commits) {
      if (commitLsn >= this.#endLsn) break
      if (commitLsn > this.#commitLsn || endLsn > this.#endLsn) return false
      if (commitLsn === this.#commitLsn) this.#isDue = false
    }
    if (batchEndLsn < this.#endLsn) return true
    this.#isDone = true
    return !this.#isDue
  }
}

const limits: BatchLimits = { maxRows: 10_000, maxBytes: 4 * 1024 * 1024 }
const lookMs = 20
/** The last commits may still be on their way through the assembler when the server has sent everything. */
const settleMs = 250
const missingMs = 3_000

/**
 * Reads what the slot sends from `fromLsn`, acknowledging nothing, until it has come past what the cloud has, and closes
 * the stream. Returns without a word when reading ends before.
 *
 * @throws HomeportError PRIMARY_REWOUND, and what ended the stream.
 */
export async function verifyHistory(
  stream: ReplicationStream,
  known: KnownHistory,
  fromLsn: string,
): Promise<void> {
  const check = new HistoryCheck(known, fromLsn)
  let waiting: Promise<Batch | null> | null = null
  let quietSinceMs: number | null = null
  try {
    while (!check.isDone) {
      waiting ??= stream.nextBatch(limits)
      const batch = await Promise.race([waiting, sleep(lookMs)])
      if (batch === null) return
      if (batch === undefined) {
        quietSinceMs = hasSentAll(stream, known) ? (quietSinceMs ?? performance.now()) : null
        const quietMs = quietSinceMs === null ? 0 : performance.now() - quietSinceMs
        if (quietMs < (check.isCommitDue ? missingMs : settleMs)) continue
        if (!check.fits([], parseLsn(known.endLsn))) throw otherHistory(known)
        continue
      }
      waiting = null
      quietSinceMs = null
      const fits = check.fits(await readCommits(batch), parseLsn(batch.end))
      await batch.release()
      if (!fits) throw otherHistory(known)
    }
  } finally {
    waiting?.then((batch) => batch?.release()).catch(() => undefined)
    await stream.close()
  }
}

function hasSentAll(stream: ReplicationStream, known: KnownHistory): boolean {
  return stream.queuedBytes === 0 && parseLsn(stream.receivedLsn) >= parseLsn(known.endLsn)
}

const changing: ReadonlySet<number> = new Set([
  messageTag.insert,
  messageTag.update,
  messageTag.delete,
  messageTag.truncate,
])

/** Where the transactions of a batch that changed something committed: the others may not come each time. */
async function readCommits(batch: Batch): Promise<CommitPosition[]> {
  const commits: CommitPosition[] = []
  let hasChanges = false
  for await (const { frames } of batch.parts()) {
    for (const frame of frames) {
      const { tag } = peekMessage(frame, { inStream: false })
      if (changing.has(tag)) hasChanges = true
      if (tag !== messageTag.commit) continue
      const message = decodeMessage(frame, { inStream: false, protocol: 1 })
      if (hasChanges && message.type === 'commit') commits.push(message)
      hasChanges = false
    }
  }
  return commits
}

function otherHistory({ commitLsn, endLsn }: KnownHistory): HomeportError {
  return new HomeportError(
    'PRIMARY_REWOUND',
    `the primary does not have the commit at ${formatLsn(parseLsn(commitLsn))} that the cloud has (up to ${endLsn}): the primary was restored to an older state, and has written on from there`,
    {
      hint: 'compare both sides before anything is thrown away; then ops reseed copies everything again, from a new slot',
    },
  )
}
