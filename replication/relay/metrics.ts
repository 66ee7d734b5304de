import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { RowCount } from './row-counts.ts'
import { relayStates, type RelayStatus } from './status-file.ts'

type Transport = NonNullable<RelayStatus['transport']>

/** A batch that the cloud has taken. */
export interface AppliedBatch {
  transport: Transport
  rows: readonly RowCount[]
  seconds: number
  /** updates and deletes that found no row */
  conflicts: number
  quarantined: number
}

export interface RelayMetrics {
  onApplied: (batch: AppliedBatch) => void
  /** what went to the cloud, as it was on the wire */
  onSent: (transport: Transport, bytes: number) => void
  onReconnect: (side: 'primary' | 'cloud') => void
  /** Everything in the format of Prometheus; what is momentary as `status` says it. What is unknown is left out. */
  text: (status: RelayStatus) => Promise<string>
  readonly contentType: string
}

/** The relay's counters, in a registry of their own. The names are documented and stable. */
export function createRelayMetrics(): RelayMetrics {
  const registry = new Registry()
  const counters = createCounters(registry)
  const observe = createGauges(registry)
  return {
    onApplied({ transport, rows, seconds, conflicts, quarantined }) {
      for (const { table, operation, count } of rows) counters.rows.inc({ table, operation }, count)
      counters.batches.inc({ transport })
      counters.seconds.observe(seconds)
      counters.conflicts.inc(conflicts)
      counters.quarantined.inc(quarantined)
    },
    onSent: (transport, bytes) => counters.sent.inc({ transport }, bytes),
    onReconnect: (side) => counters.reconnects.inc({ side }),
    text(status) {
      observe(status)
      return registry.metrics()
    },
    contentType: registry.contentType,
  }
}

interface Counters {
  rows: Counter<'table' | 'operation'>
  batches: Counter<'transport'>
  sent: Counter<'transport'>
  reconnects: Counter<'side'>
  conflicts: Counter
  quarantined: Counter
  seconds: Histogram
}

function createCounters(registry: Registry): Counters {
  const registers = [registry]
  const counters: Counters = {
    rows: new Counter({
      name: 'homeport_relay_rows_total',
      help: 'Row changes that the cloud has taken',
      labelNames: ['table', 'operation'],
      registers,
    }),
    batches: new Counter({
      name: 'homeport_relay_batches_total',
      help: 'Batches that the cloud has taken',
      labelNames: ['transport'],
      registers,
    }),
    sent: new Counter({
      name: 'homeport_relay_bytes_sent_total',
      help: 'Bytes of batches sent to the cloud, retries included',
      labelNames: ['transport'],
      registers,
    }),
    reconnects: new Counter({
      name: 'homeport_relay_reconnects_total',
      help: 'Connections that were made anew',
      labelNames: ['side'],
      registers,
    }),
    conflicts: new Counter({
      name: 'homeport_relay_conflicts_total',
      help: 'Updates and deletes that found no row in the cloud, and were resolved',
      registers,
    }),
    quarantined: new Counter({
      name: 'homeport_relay_quarantined_total',
      help: 'Rows that the cloud refused, and that were put aside',
      registers,
    }),
    seconds: new Histogram({
      name: 'homeport_relay_apply_seconds',
      help: 'From sending a batch until the cloud has committed it',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
  }
  // A rate needs a zero to start from.
  for (const transport of ['direct', 'gateway'] as const) {
    counters.batches.inc({ transport }, 0)
    counters.sent.inc({ transport }, 0)
  }
  for (const side of ['primary', 'cloud'] as const) counters.reconnects.inc({ side }, 0)
  return counters
}

function createGauges(registry: Registry): (status: RelayStatus) => void {
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `homeport_relay_${name}`, help, labelNames, registers })
  const lagSeconds = gauge('lag_seconds', 'Age of the oldest change that the cloud does not have')
  const lagBytes = gauge('lag_bytes', 'Log that the cloud does not have')
  const retained = gauge('slot_retained_bytes', 'Log that the primary keeps for the slot')
  const usedShare = gauge('slot_used_ratio', 'The part of what the slot may keep that it does keep')
  const toCut = gauge(
    'slot_seconds_to_cut',
    'Until the slot is cut off, or the disk full; absent while it is not in sight',
  )
  const spoolBytes = gauge('spool_bytes', 'Size of the spool')
  const spoolBatches = gauge('spool_batches', 'Batches in the spool')
  const paused = gauge('ingest_paused', '1 while ingest is asked to wait')
  const states = gauge('state', '1 for the state that the relay is in', ['state'])
  const transports = gauge('transport', '1 for the way that the relay takes', ['name'])
  const stopped = gauge('stopped', '1 when the relay has stopped, with the reason', ['code'])
  return ({ lag, slot, spool, state, transport, isIngestPaused, lastError }) => {
    setKnown(lagSeconds, lag.seconds)
    setKnown(lagBytes, lag.bytes)
    setKnown(retained, slot?.retainedBytes ?? null)
    setKnown(usedShare, slot?.usedShare ?? null)
    setKnown(toCut, slot?.secondsToCut ?? null)
    spoolBytes.set(spool.bytes)
    spoolBatches.set(spool.batches)
    paused.set(isIngestPaused ? 1 : 0)
    for (const one of relayStates) states.set({ state: one }, one === state ? 1 : 0)
    for (const name of ['direct', 'gateway']) transports.set({ name }, name === transport ? 1 : 0)
    stopped.reset()
    if (state === 'stopped') stopped.set({ code: lastError?.code ?? 'NONE' }, 1)
  }
}

/** An unknown value is left out: 0 would be a lie, and NaN is one to many a dashboard. */
function setKnown(gauge: Gauge, value: number | null): void {
  if (value === null) gauge.remove()
  else gauge.set(value)
}
