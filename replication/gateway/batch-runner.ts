import { sleep } from '../../core/backoff.ts'
import { ProblemError } from '../../core/http/problem.ts'
import type { Applied, NeedRows } from '../relay/cloud-link.ts'
import type { BatchAnswer } from './protocol.ts'

type Outcome = Applied | NeedRows

interface Job {
  id: string
  outcome: Promise<Outcome>
  isSettled: boolean
}

export interface BatchRunner {
  /**
   * Starts the work, or joins it where the same batch is being applied already, and waits for its outcome
   * for a while; `working` when that is not enough.
   *
   * @throws ProblemError 503 GATEWAY_BUSY while another batch of this slot is being applied.
   */
  run(slot: string, id: string, work: () => Promise<Outcome>): Promise<BatchAnswer>
  /** The same wait for work that was started before; undefined when nothing is known of it (any more). */
  wait(slot: string, id: string): Promise<BatchAnswer> | undefined
  /** Work that is not done yet. */
  readonly running: number
  /** Settles when nothing runs. */
  idle(): Promise<void>
}

/**
 * Applies one batch of a slot at a time, and goes on with it when the client has gone: what stands between home and
 * here closes requests that take longer than a minute, and a large transaction does.
 */
export function createBatchRunner(options: { answerWithinMs: number; keepMs?: number }): BatchRunner {
  const jobs = new Map<string, Job>()
  return {
    async run(slot, id, work) {
      const current = jobs.get(slot)
      if (current !== undefined && !current.isSettled) {
        if (current.id === id) return answer(current)
        throw new ProblemError(503, 'GATEWAY_BUSY', 'another batch is being applied', { retry: 'reconnect' })
      }
      return answer(start(slot, id, work))
    },
    wait(slot, id) {
      const job = jobs.get(slot)
      return job?.id === id ? answer(job) : undefined
    },
    get running() {
      return [...jobs.values()].filter((job) => !job.isSettled).length
    },
    async idle() {
      await Promise.allSettled([...jobs.values()].map((job) => job.outcome))
    },
  }

  function start(slot: string, id: string, work: () => Promise<Outcome>): Job {
    const job: Job = { id, outcome: work(), isSettled: false }
    jobs.set(slot, job)
    const settle = (): void => {
      job.isSettled = true
      // Long enough for whoever comes back for the outcome.
      setTimeout(() => {
        if (jobs.get(slot) === job) jobs.delete(slot)
      }, options.keepMs ?? 60_000).unref()
    }
    job.outcome.then(settle, settle)
    return job
  }

  async function answer(job: Job): Promise<BatchAnswer> {
    const enough = new AbortController()
    const later = sleep(options.answerWithinMs, enough.signal).then((): BatchAnswer => ({
      kind: 'working',
      batch: job.id,
    }))
    later.catch(() => undefined)
    try {
      return await Promise.race([job.outcome, later])
    } finally {
      enough.abort()
    }
  }
}
