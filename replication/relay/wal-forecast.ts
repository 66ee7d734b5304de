import type { DiskSpace } from './primary-disk.ts'

/** A look at the log that is kept. */
export interface WalSample {
  /** by a clock that only runs forward */
  atMs: number
  retainedBytes: number
  disk: DiskSpace | null
}

/** Looks that a forecast rests on: the last ten minutes, and no less than ten seconds. */
export const forecastWindowMs = 600_000
const recentMs = 60_000
const leastMs = 10_000
/** An end further away than this is none: what a disk loses in a week is seldom what it loses in ten minutes. */
const horizonSeconds = 7 * 86_400

export interface WalEnd {
  seconds: number
  /** e.g. `it is cut off` */
  what: string
}

/**
 * When the slot is cut off or the disk full, whichever comes first, at the rate of the looks before this one; null
 * while nothing grows, no end is in sight, or too little was seen.
 */
export function forecastEnd(
  facts: WalSample & { safeWalBytes: number | null },
  samples: readonly WalSample[],
): WalEnd | null {
  const looks = [...samples, facts]
  const log = growth(looks.map(({ atMs, retainedBytes }) => ({ atMs, bytes: retainedBytes })))
  const lost = growth(
    looks.flatMap(({ atMs, disk }) =>
      disk === null ? [] : [{ atMs, bytes: disk.totalBytes - disk.freeBytes }],
    ),
  )
  const ends: WalEnd[] = []
  if (facts.safeWalBytes !== null) {
    ends.push({ seconds: Math.max(0, facts.safeWalBytes) / log, what: 'it is cut off' })
  }
  if (facts.disk !== null) {
    ends.push({ seconds: facts.disk.freeBytes / Math.max(log, lost), what: 'its disk is full' })
  }
  const inSight = ends.filter(({ seconds }) => seconds < horizonSeconds)
  if (inSight.length === 0) return null
  return inSight.reduce((soonest, one) => (one.seconds < soonest.seconds ? one : soonest))
}

interface Look {
  atMs: number
  bytes: number
}

/**
 * Bytes a second, 0 or more: the faster of the last minute and the last ten. What has just begun shows soon, and a
 * pause in it does not make it forgotten.
 */
function growth(looks: readonly Look[]): number {
  const nowMs = looks.at(-1)?.atMs ?? 0
  const spans = [recentMs, forecastWindowMs]
  return Math.max(0, ...spans.map((spanMs) => trend(looks.filter(({ atMs }) => nowMs - atMs <= spanMs))))
}

/**
 * From the least of the earlier half to the least of the later one. What is kept falls in steps, whenever Postgres
 * moves a slot's restart position or recycles log at a checkpoint: only the bottoms of that saw tell a direction.
 */
function trend(looks: readonly Look[]): number {
  const [first, last] = [looks[0], looks.at(-1)]
  if (first === undefined || last === undefined || last.atMs - first.atMs < leastMs) return 0
  const middleMs = (first.atMs + last.atMs) / 2
  const least = (some: readonly Look[]): Look => some.reduce((a, b) => (b.bytes < a.bytes ? b : a))
  const from = least(looks.filter(({ atMs }) => atMs <= middleMs))
  const to = least(looks.filter(({ atMs }) => atMs > middleMs))
  return ((to.bytes - from.bytes) * 1000) / (to.atMs - from.atMs)
}
