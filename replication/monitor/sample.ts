/** One look of the monitor, as it is kept and shown. */
export interface MonitorSample {
  /** ISO */
  at: string
  lag: { bytes: number | null; seconds: number | null }
  slot: {
    name: string
    active: boolean
    walStatus: string | null
    retainedBytes: number
    safeWalBytes: number | null
  } | null
  /** when the slot is cut or the disk full, at the present rate; null while not in sight */
  forecast: { seconds: number; what: string } | null
  disk: { freeBytes: number; totalBytes: number } | null
  /** log written on the primary since the last look, per second; null at the first */
  walBytesPerSecond: number | null
  /** last proofs, from the verifications table */
  tables: {
    table: string
    verdict: 'match' | 'drift' | 'undetermined'
    rows: number
    checkedAt: string
    fullAt: string | null
  }[]
  /** share of the true nearest neighbours that the cloud's vector index finds; null when not measured */
  recall: { model: number; recallAt10: number; queries: number; at: string } | null
  mode: 'native' | 'relay' | null
  /** which servers did not answer */
  unreachable: ('primary' | 'cloud')[]
}

/** A problem that lasts, from when it was raised until it is over. */
export interface Alert {
  /** code, side and table: what makes two looks speak of the same thing */
  id: string
  code: string
  side: 'primary' | 'cloud'
  severity: 'error' | 'warning'
  table: string | null
  message: string
  fix: string
  /** ISO, when it was first seen */
  since: string
  /** ISO, null while it lasts */
  until: string | null
}
