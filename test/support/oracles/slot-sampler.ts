import type pg from 'pg'
import { parseLsn } from '../../../core/lsn.ts'
import { sleep } from '../../../core/backoff.ts'

export interface SlotSample {
  confirmed: string
  progress: string
  spoolEnd: string | null
}

export interface SamplerOptions {
  primary: pg.Pool
  cloud: pg.Pool
  slot: string
  /** the end of what the spool holds on disk; null while it is empty */
  spoolEnd?: () => Promise<string | null>
}

/**
 * Looks every 50 ms whether the slot has passed what the cloud has committed or, when the relay spools,
 * what lies in the spool. Read in the order in which a change travels back, slot, spool, cloud, so that a
 * sample can only err towards innocence.
 */
export class SlotSampler {
  samples = 0
  readonly violations: string[] = []
  last: SlotSample | undefined
  readonly #stop = new AbortController()
  readonly #done: Promise<void>

  constructor(options: SamplerOptions) {
    this.#done = this.#run(options)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  async #run(options: SamplerOptions): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      // A server that is down or a slot that is gone is no violation.
      const sample = await takeSample(options).catch(() => undefined)
      if (sample !== undefined) this.#judge(sample)
      await sleep(50, signal).catch(() => undefined)
    }
  }

  #judge(sample: SlotSample): void {
    this.samples += 1
    this.last = sample
    const durable = [sample.progress, sample.spoolEnd ?? '0/0'].map(parseLsn)
    if (durable.some((lsn) => parseLsn(sample.confirmed) <= lsn)) return
    this.violations.push(
      `the slot is at ${sample.confirmed}, the cloud at ${sample.progress}, the spool at ${sample.spoolEnd ?? 'nothing'}`,
    )
  }
}

async function takeSample(options: SamplerOptions): Promise<SlotSample | undefined> {
  const slot = await options.primary.query<{ confirmed: string | null }>(
    'select confirmed_flush_lsn as confirmed from pg_replication_slots where slot_name = $1',
    [options.slot],
  )
  const spoolEnd = (await options.spoolEnd?.()) ?? null
  const progress = await options.cloud.query<{ progress: string }>(
    'select end_lsn as progress from relay_progress where slot = $1',
    [options.slot],
  )
  const confirmed = slot.rows[0]?.confirmed
  const found = progress.rows[0]?.progress
  if (confirmed === undefined || confirmed === null || found === undefined) return undefined
  return { confirmed, progress: found, spoolEnd }
}
