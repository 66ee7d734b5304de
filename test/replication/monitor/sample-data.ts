import type { Alert, MonitorSample } from '../../../replication/monitor/sample.ts'

/** A look at a replication that is well. */
export function quietSample(at: Date, change: Partial<MonitorSample> = {}): MonitorSample {
  const checkedAt = new Date(at.getTime() - (at.getTime() % 300_000)).toISOString()
  return {
    at: at.toISOString(),
    lag: { bytes: 1024, seconds: 0.4 },
    slot: {
      name: 'homeport',
      active: true,
      walStatus: 'reserved',
      retainedBytes: 4_000_000,
      safeWalBytes: 996_000_000,
    },
    forecast: null,
    disk: { freeBytes: 60e9, totalBytes: 100e9 },
    walBytesPerSecond: 2_000,
    tables: [
      { table: 'segments', verdict: 'match', rows: 1200, checkedAt, fullAt: checkedAt },
      { table: 'embeddings', verdict: 'match', rows: 1200, checkedAt, fullAt: null },
    ],
    recall: { model: 1, recallAt10: 0.992, queries: 50, at: checkedAt },
    mode: 'native',
    unreachable: [],
    ...change,
  }
}

/** Drift in a table, raised at that time. */
export function driftAlert(since: Date, change: Partial<Alert> = {}): Alert {
  return {
    id: 'DRIFT cloud segments',
    code: 'DRIFT',
    side: 'cloud',
    severity: 'error',
    table: 'segments',
    message: '3 rows of segments differ',
    fix: 'ops repair segments',
    since: since.toISOString(),
    until: null,
    ...change,
  }
}
