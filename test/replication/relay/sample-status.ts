import type { RelayStatus } from '../../../replication/relay/status-file.ts'

/** A relay that follows and has nothing to do. */
export const quietStatus: RelayStatus = {
  state: 'following',
  since: '2026-01-02T03:04:05.000Z',
  startedAt: '2026-01-02T03:00:00.000Z',
  transport: 'direct',
  lag: { seconds: 0, bytes: 0 },
  slot: { name: 'homeport_x', retainedBytes: 1024, usedShare: 0.25, secondsToCut: null },
  spool: { batches: 0, bytes: 0, firstAfter: null, endLsn: null },
  isIngestPaused: false,
  rows: 17,
  lastError: null,
}
