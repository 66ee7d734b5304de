import { formatDuration } from '../core/amounts.ts'
import type { Output } from '../core/cli.ts'

/** How far a piece of work is. */
export interface ProgressState {
  label: string
  done: number
  total: number
  elapsedMs: number
  /** A second quantity, for the rate: e.g. segments written. */
  produced?: { count: number; unit: string }
}

/** `captions  123/480  3,120 segments/s  about 12 s left` */
export function describeProgress({ label, done, total, elapsedMs, produced }: ProgressState): string {
  const parts = [`${label}  ${done.toLocaleString('en')}/${total.toLocaleString('en')}`]
  if (produced !== undefined && elapsedMs > 0 && produced.count > 0) {
    const rate = Math.round((produced.count * 1000) / elapsedMs)
    parts.push(`${rate.toLocaleString('en')} ${produced.unit}/s`)
  }
  const leftMs = remainingMs({ done, total, elapsedMs })
  if (leftMs !== undefined && leftMs >= 1000) parts.push(`about ${formatDuration(leftMs)} left`)
  return parts.join('  ')
}

/** At the rate so far; undefined before there is one. */
export function remainingMs(state: Pick<ProgressState, 'done' | 'total' | 'elapsedMs'>): number | undefined {
  if (state.done === 0) return undefined
  return (state.elapsedMs / state.done) * Math.max(0, state.total - state.done)
}

export interface ProgressOptions {
  out: Output
  /** Whether a line can be replaced; elsewhere a line is printed every `plainEveryMs`. */
  isTerminal: boolean
  nowMs?: () => number
  plainEveryMs?: number
}

/** Shows work under way: one line that changes on a terminal, a line every few seconds elsewhere. */
export class Progress {
  readonly #options: Required<ProgressOptions>
  #label = ''
  #startedMs = 0
  #shownMs = 0

  constructor(options: ProgressOptions) {
    this.#options = { nowMs: () => performance.now(), plainEveryMs: 5000, ...options }
  }

  /** A new label starts a new rate. */
  show(state: Omit<ProgressState, 'elapsedMs'>): void {
    const { out, isTerminal, nowMs, plainEveryMs } = this.#options
    const now = nowMs()
    if (state.label !== this.#label) {
      this.#label = state.label
      this.#startedMs = now
      this.#shownMs = isTerminal ? -Infinity : now
    }
    if (now - this.#shownMs < (isTerminal ? 100 : plainEveryMs)) return
    this.#shownMs = now
    const line = describeProgress({ ...state, elapsedMs: now - this.#startedMs })
    if (isTerminal) out.progress(line)
    else out.note(line)
  }
}
