import type { MonitorHistory } from '../../../replication/monitor/history.ts'
import type { MonitorSample } from '../../../replication/monitor/sample.ts'
import { driftAlert, quietSample } from './sample-data.ts'

const stepSeconds = 60
const tables = ['models', 'sources', 'segments', 'embeddings', 'lexicon', 'model_terms', 'verifications']

/** A day as it may be: a bulk of ingest, a cloud that was away for an hour, a monitor that was not running for two. */
export async function addDay(history: MonitorHistory, now: Date): Promise<MonitorSample> {
  let last = quietSample(now)
  for (let minute = 24 * 60; minute >= 0; minute -= 1) {
    if (minute > 700 && minute < 820) continue
    last = sampleOf(new Date(now.getTime() - minute * stepSeconds * 1000), minute)
    await history.addSample(last)
  }
  return last
}

function sampleOf(at: Date, minute: number): MonitorSample {
  const isAway = minute > 300 && minute < 360
  const busy = minute > 1000 && minute < 1200 ? 1 : 0
  const noise = 0.5 + 0.5 * Math.sin(minute * 1.7) * Math.cos(minute * 0.31)
  const heldMb = isAway ? (360 - minute) * 9 : 12 + 30 * busy * noise
  const checkedAt = new Date(at.getTime() - 130_000).toISOString()
  return quietSample(at, {
    lag: { bytes: 3_000, seconds: isAway ? (360 - minute) * 60 : 0.3 + noise + 40 * busy * noise },
    slot: {
      name: 'homeport',
      active: !isAway,
      walStatus: 'reserved',
      retainedBytes: heldMb * 1e6,
      safeWalBytes: 1e9 - heldMb * 1e6,
    },
    walBytesPerSecond: 2_000 + 3_000 * noise + 900_000 * busy * noise,
    unreachable: isAway ? ['cloud'] : [],
    tables: tables.map((table, place) => ({
      table,
      verdict: table === 'segments' ? 'drift' : table === 'model_terms' ? 'undetermined' : 'match',
      rows: 1_080 * 7 ** (place % 5),
      checkedAt,
      fullAt: place === 5 ? null : new Date(at.getTime() - (3 + place) * 3_600_000).toISOString(),
    })),
  })
}

/** Two that are open. */
export function openOnes(now: Date) {
  const ago = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000)
  return [
    driftAlert(ago(12)),
    driftAlert(ago(130), {
      id: 'SLOT_HALF_FULL',
      code: 'SLOT_HALF_FULL',
      side: 'primary',
      severity: 'warning',
      table: null,
      message: 'the slot keeps 620 MB of the 1.0 GB that it may keep, and the cloud does not read',
      fix: 'bring the cloud back, or raise max_slot_wal_keep_size and reload',
    }),
  ]
}

/** Two that are over. */
export function pastOnes(now: Date) {
  const ago = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000)
  const away = {
    code: 'CLOUD_UNREACHABLE',
    table: null,
    message: 'PRODUCTION_DATABASE_URL: nothing listens there',
  }
  return [
    driftAlert(ago(360), { id: 'away', ...away, until: ago(300).toISOString() }),
    driftAlert(ago(1190), {
      id: 'lag',
      code: 'LAG',
      severity: 'warning',
      table: null,
      message: 'the cloud is 41 s behind',
      until: ago(1001).toISOString(),
    }),
  ]
}
