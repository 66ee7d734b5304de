import { createHash } from 'node:crypto'
import type { Batch, BatchPart } from '../../../../replication/relay/batch.ts'

export interface SampleBatch {
  /** 1 follows 0 */
  number: number
  /** one part of two small frames by default */
  parts?: readonly (readonly Buffer[])[]
  slot?: string
  oldestCommitAt?: string | null
  after?: string
}

/** The end of the batch of this number; numbers follow each other in the log. */
export function endOf(number: number): string {
  return `1/${(number * 0x100).toString(16).toUpperCase()}`
}

/** A batch whose frames nobody decodes; its parts are made when they are asked for. */
export function sampleBatch(sample: SampleBatch): Batch {
  const after = sample.after ?? endOf(sample.number - 1)
  const end = endOf(sample.number)
  const slot = sample.slot ?? 'homeport_test'
  const parts = sample.parts ?? [
    [Buffer.from(`begin ${sample.number}`), Buffer.from(`insert ${sample.number}`)],
  ]
  return {
    slot,
    after,
    end,
    oldestCommitAt: sample.oldestCommitAt ?? null,
    async *parts() {
      for (const [place, frames] of parts.entries()) {
        const isLastPart = place === parts.length - 1
        yield {
          header: {
            slot,
            systemIdentifier: '7000000000000000001',
            timeline: 1,
            after,
            end,
            commit: end,
            transactions: 1,
            rows: frames.length,
            part: place,
            isLastPart,
          },
          frames,
        } satisfies BatchPart
      }
    },
    release: () => Promise.resolve(),
  }
}

/** A short text that two batches share only when they hold the same. */
export async function fingerprint(batch: Batch): Promise<string> {
  const hash = createHash('sha256').update(
    `${batch.slot} ${batch.after} ${batch.end} ${batch.oldestCommitAt}`,
  )
  for await (const { header, frames } of batch.parts()) {
    hash.update(JSON.stringify(header))
    for (const frame of frames) hash.update(`${frame.length} `).update(frame)
  }
  return hash.digest('hex').slice(0, 16)
}
