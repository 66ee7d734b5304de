import type { MonitorSample } from './sample.ts'

/** Keeps one sample a period: of several the worst, with the highest rate, so that no peak is thinned away. */
export class SampleThinner {
  readonly #fromMs: number
  readonly #periodMs: number
  readonly #last: number
  readonly #kept = new Map<number, MonitorSample>()

  /** Keeps at most `atMost` samples of the time between; younger ones count to the last period. */
  constructor({ fromMs, toMs, atMost }: { fromMs: number; toMs: number; atMost: number }) {
    this.#fromMs = fromMs
    this.#periodMs = Math.max(1, Math.ceil((toMs - fromMs + 1) / atMost))
    this.#last = atMost - 1
  }

  add(sample: MonitorSample): void {
    const period = Math.floor((Date.parse(sample.at) - this.#fromMs) / this.#periodMs)
    const place = Math.min(period, this.#last)
    const other = this.#kept.get(place)
    const worst = other === undefined || isWorse(sample, other) ? sample : other
    const walBytesPerSecond = higher(sample.walBytesPerSecond, other?.walBytesPerSecond ?? null)
    this.#kept.set(
      place,
      worst.walBytesPerSecond === walBytesPerSecond ? worst : { ...worst, walBytesPerSecond },
    )
  }

  /** What was kept, oldest first. */
  samples(): MonitorSample[] {
    return [...this.#kept].sort(([one], [other]) => one - other).map(([, sample]) => sample)
  }
}

/** Pure: a server that does not answer, then the longer lag, then the more log held, then the younger one. */
export function isWorse(one: MonitorSample, other: MonitorSample): boolean {
  const gap =
    one.unreachable.length - other.unreachable.length ||
    (one.lag.seconds ?? -1) - (other.lag.seconds ?? -1) ||
    (one.slot?.retainedBytes ?? -1) - (other.slot?.retainedBytes ?? -1)
  return gap >= 0
}

function higher(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}
