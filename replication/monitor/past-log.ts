import { forecastWindowMs } from '../relay/wal-forecast.ts'
import { noLogHistory, type LogHistory } from './home-look.ts'
import type { MonitorHistory } from './history.ts'
import type { Alert, MonitorSample } from './sample.ts'

/** What a monitor that runs, or ran until a moment ago, knows and a single look does not. */
export interface Past {
  log: LogHistory
  /** those that are open */
  alerts: readonly Alert[]
}

export const noPast: Past = { log: noLogHistory, alerts: [] }

/** Reads it; what cannot be read, or is older than a forecast rests on, is no past. Never throws. */
export async function readPast(
  history: Pick<MonitorHistory, 'samples' | 'openAlerts'> | null,
  slotName: string | undefined,
): Promise<Past> {
  if (history === null || slotName === undefined) return noPast
  try {
    const wallMs = Date.now()
    const now = { wallMs, atMs: performance.now() }
    const samples = await history.samples({ sinceMs: wallMs - forecastWindowMs, atMost: 1_000 })
    const log = pastLog(samples, slotName, now)
    return log.samples.length === 0 ? noPast : { log, alerts: await history.openAlerts() }
  } catch {
    // Somebody else's folder, or a broken disk: the look is worth something without it.
    return noPast
  }
}

/** Pure: what was kept of a slot's log, by the clock of this process that only runs forward. */
export function pastLog(
  samples: readonly MonitorSample[],
  slotName: string,
  now: { wallMs: number; atMs: number },
): LogHistory {
  const seen = samples.flatMap(({ at, slot, disk }) => {
    const agoMs = now.wallMs - Date.parse(at)
    if (slot?.name !== slotName || agoMs < 0 || agoMs > forecastWindowMs) return []
    return [{ atMs: now.atMs - agoMs, retainedBytes: slot.retainedBytes, disk }]
  })
  return { samples: seen.sort((one, other) => one.atMs - other.atMs), lsn: null }
}
