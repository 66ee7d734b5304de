import type pg from 'pg'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import { fenced } from '../relay/apply/errors.ts'
import { decodePart } from '../relay/batch-codec.ts'
import type { Batch, BatchHeader, BatchPart } from '../relay/batch.ts'
import type { Lease, Progress } from '../relay/cloud-link.ts'

/** Where parts are kept. */
export type PartsDatabase = Pick<pg.Pool, 'query'>

/** The last bytes of an encoded part: what tells it from another one. */
export function partDigest(encoded: Buffer): string {
  return encoded.subarray(-32).toString('hex')
}

/**
 * Keeps a part of a large transaction until its last one comes; the same part again replaces it.
 * @throws HomeportError RELAY_FENCED when another relay holds the lease.
 */
export async function stagePart(
  db: PartsDatabase,
  lease: Lease,
  header: BatchHeader,
  encoded: Buffer,
): Promise<void> {
  const values = [lease.slot, lease.epoch, lease.holder, header.end, header.part, encoded]
  const { rows } = await db.query(loadSql('gateway/stage-part'), values)
  if (rows.length > 0) return
  throw fenced(lease.slot, null)
}

/**
 * True when exactly these parts (by their digests, in order) wait for the last one. A transaction that was cut
 * in another place before, under the same lease, is not mixed in.
 */
export async function hasParts(
  db: PartsDatabase,
  lease: Lease,
  batchEnd: string,
  digests: readonly string[],
): Promise<boolean> {
  if (digests.length === 0) return true
  const { rows } = await db.query<{ part: number; digest: string }>(loadSql('gateway/staged-parts'), [
    lease.slot,
    lease.epoch,
    batchEnd,
  ])
  return digests.every((digest, part) => rows[part]?.part === part && rows[part].digest === digest)
}

/** Parts of relays before this one, and of batches that are in the database by now, go. */
export async function forgetParts(
  db: PartsDatabase,
  lease: Pick<Lease, 'slot' | 'epoch'>,
  progress: Pick<Progress, 'endLsn'>,
): Promise<void> {
  await db.query(loadSql('gateway/forget-parts'), [lease.slot, lease.epoch, progress.endLsn])
}

/** The batch that ends with this part; those before it are read back one at a time. */
export function batchOf(
  db: PartsDatabase,
  lease: Lease,
  last: { part: BatchPart; digests: readonly string[] },
): Batch {
  const { header } = last.part
  return {
    slot: header.slot,
    after: header.after,
    end: header.end,
    oldestCommitAt: null,
    async *parts() {
      for (const [number, digest] of last.digests.entries()) {
        yield decodePart(await readPart(db, lease, header.end, number, digest))
      }
      yield last.part
    },
    release: () => Promise.resolve(),
  }
}

const sliceBytes = 1024 * 1024

async function readPart(
  db: PartsDatabase,
  lease: Lease,
  batchEnd: string,
  number: number,
  digest: string,
): Promise<Buffer> {
  const place = [lease.slot, lease.epoch, batchEnd, number]
  const content = []
  for (let from = 0, length = 1; from < length; from += sliceBytes) {
    const { rows } = await db.query<{ length: number; slice: Buffer }>(loadSql('gateway/read-part'), [
      ...place,
      from + 1,
      sliceBytes,
    ])
    const found = rows[0]
    if (found === undefined) throw partsMissing()
    length = found.length
    content.push(found.slice)
  }
  const encoded = Buffer.concat(content)
  if (partDigest(encoded) !== digest) throw partsMissing()
  return encoded
}

/** Answered when the parts must come again; the link does that by itself. */
export function partsMissing(): HomeportError {
  return new HomeportError('PARTS_MISSING', 'parts of this transaction are not here any more', {
    hint: 'the relay sends them again by itself',
  })
}
