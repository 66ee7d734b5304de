import { Gauge, Registry } from 'prom-client'
import type { Alert, MonitorSample } from './sample.ts'

/** What the monitor knows now. */
export interface MonitorState {
  /** the last look; null before the first */
  sample: MonitorSample | null
  /** those that are open */
  alerts: readonly Alert[]
  /** ISO time since when this monitor runs */
  since: string
}

export interface MonitorMetrics {
  /** Everything in the format of Prometheus, as of the last look. What is unknown is left out. */
  text: (state: MonitorState) => Promise<string>
  readonly contentType: string
}

/** The monitor's metrics, in a registry of their own. The names are documented and stable. */
export function createMonitorMetrics(): MonitorMetrics {
  const registry = new Registry()
  const observers = [lagAndLog(registry), proofs(registry), alertsAndServers(registry)]
  return {
    text({ sample, alerts }) {
      // From nothing each time: 0 would be a lie about what is unknown now, and so would be the value of before.
      registry.resetMetrics()
      for (const observe of observers) observe(sample, alerts)
      return registry.metrics()
    },
    contentType: registry.contentType,
  }
}

type Observer = (sample: MonitorSample | null, alerts: readonly Alert[]) => void

function gaugesIn(registry: Registry) {
  return (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `homeport_${name}`, help, labelNames, registers: [registry] })
}

function lagAndLog(registry: Registry): Observer {
  const gauge = gaugesIn(registry)
  const at = gauge('monitor_sample_timestamp_seconds', 'When the monitor last looked')
  const lagSeconds = gauge('replication_lag_seconds', 'How far the cloud is behind the primary')
  const lagBytes = gauge('replication_lag_bytes', 'Log that the cloud has not confirmed')
  const retained = gauge('slot_retained_bytes', 'Log that the primary keeps for the slot')
  const safe = gauge('slot_safe_bytes', 'Log that may still be written before the slot is cut off')
  const active = gauge('slot_active', '1 while something reads the slot')
  const toCut = gauge(
    'slot_seconds_to_cut',
    'Until the slot is cut off, or the disk full; absent while it is not in sight',
  )
  const written = gauge('primary_wal_bytes_per_second', 'Log that the primary writes')
  const free = gauge('primary_disk_free_bytes', 'Free on the disk of the primary')
  const size = gauge('primary_disk_size_bytes', 'Size of the disk of the primary')
  return (sample) => {
    set(at, sample && Date.parse(sample.at) / 1000)
    set(lagSeconds, sample?.lag.seconds)
    set(lagBytes, sample?.lag.bytes)
    set(retained, sample?.slot?.retainedBytes)
    set(safe, sample?.slot?.safeWalBytes)
    set(active, sample?.slot && Number(sample.slot.active))
    set(toCut, sample?.forecast?.seconds)
    set(written, sample?.walBytesPerSecond)
    set(free, sample?.disk?.freeBytes)
    set(size, sample?.disk?.totalBytes)
  }
}

const verdicts = ['match', 'drift', 'undetermined'] as const

function proofs(registry: Registry): Observer {
  const gauge = gaugesIn(registry)
  const checked = gauge('verified_timestamp_seconds', 'When a table was last compared', ['table'])
  const full = gauge('verified_full_timestamp_seconds', 'When every row of a table was last compared', [
    'table',
  ])
  const found = gauge('table_verdict', '1 for the verdict of the last comparison', ['table', 'verdict'])
  const recall = gauge(
    'vector_recall_ratio',
    "The part of the true ten nearest neighbours that the cloud's index finds",
    ['model'],
  )
  return (sample) => {
    for (const { table, verdict, checkedAt, fullAt } of sample?.tables ?? []) {
      checked.set({ table }, Date.parse(checkedAt) / 1000)
      if (fullAt !== null) full.set({ table }, Date.parse(fullAt) / 1000)
      for (const one of verdicts) found.set({ table, verdict: one }, one === verdict ? 1 : 0)
    }
    if (sample?.recall) recall.set({ model: sample.recall.model }, sample.recall.recallAt10)
  }
}

function alertsAndServers(registry: Registry): Observer {
  const gauge = gaugesIn(registry)
  const open = gauge('alert_open', 'Alerts that are open', ['code', 'severity'])
  const up = gauge('server_up', '1 when the server answered the last look', ['server'])
  return (sample, alerts) => {
    for (const { code, severity } of alerts) open.inc({ code, severity })
    for (const server of ['primary', 'cloud'] as const) {
      if (sample !== null) up.set({ server }, sample.unreachable.includes(server) ? 0 : 1)
    }
  }
}

/** A gauge without labels stands at 0 until it is removed. */
function set(gauge: Gauge, value: number | null | undefined): void {
  if (value === null || value === undefined) gauge.remove()
  else gauge.set(value)
}
