import t from 'tap'
import { createMonitorMetrics } from '../../../replication/monitor/monitor-metrics.ts'
import { readPrometheusText } from '../../support/prometheus-text.ts'
import { driftAlert, quietSample } from './sample-data.ts'

const at = new Date('2026-02-03T04:05:06.000Z')
const since = at.toISOString()
const seconds = at.getTime() / 1000

/** Samples of all families, without the prefix. */
function flat(text: string): Record<string, number> {
  const families = [...readPrometheusText(text).values()]
  const samples = families.flatMap((family) => [...family.samples])
  return Object.fromEntries(samples.map(([key, value]) => [key.replace(/^homeport_/, ''), value]))
}

t.test('everything that is known', async (t) => {
  const metrics = createMonitorMetrics()
  const hostile = 'it\'s "a" \\ table\nhomeport_evil 1'
  const sample = quietSample(at, {
    forecast: { seconds: 7200, what: 'the slot is cut off' },
    unreachable: ['cloud'],
    tables: [
      { table: 'segments', verdict: 'match', rows: 1, checkedAt: since, fullAt: since },
      { table: hostile, verdict: 'drift', rows: 1, checkedAt: since, fullAt: null },
    ],
  })
  const alerts = [
    driftAlert(at),
    driftAlert(at, { id: 'b', table: 'sources' }),
    driftAlert(at, { id: 'c', code: 'LAG', severity: 'warning' }),
  ]
  const text = await metrics.text({ sample, alerts, since })
  const found = flat(text)
  const escaped = hostile.replace(/[\\"]/g, '\\$&').replace('\n', '\\n')
  t.strictSame(found, {
    monitor_sample_timestamp_seconds: seconds,
    replication_lag_seconds: 0.4,
    replication_lag_bytes: 1024,
    slot_retained_bytes: 4_000_000,
    slot_safe_bytes: 996_000_000,
    slot_active: 1,
    slot_seconds_to_cut: 7200,
    primary_wal_bytes_per_second: 2_000,
    primary_disk_free_bytes: 60e9,
    primary_disk_size_bytes: 100e9,
    'verified_timestamp_seconds{table="segments"}': seconds,
    [`verified_timestamp_seconds{table="${escaped}"}`]: seconds,
    'verified_full_timestamp_seconds{table="segments"}': seconds,
    'table_verdict{table="segments",verdict="match"}': 1,
    'table_verdict{table="segments",verdict="drift"}': 0,
    'table_verdict{table="segments",verdict="undetermined"}': 0,
    [`table_verdict{table="${escaped}",verdict="match"}`]: 0,
    [`table_verdict{table="${escaped}",verdict="drift"}`]: 1,
    [`table_verdict{table="${escaped}",verdict="undetermined"}`]: 0,
    'vector_recall_ratio{model="1"}': 0.992,
    'alert_open{code="DRIFT",severity="error"}': 2,
    'alert_open{code="LAG",severity="warning"}': 1,
    'server_up{server="primary"}': 1,
    'server_up{server="cloud"}': 0,
  })
  for (const [name, { type }] of readPrometheusText(text)) {
    t.match(name, /^homeport_[a-z_]+$/)
    t.equal(type, 'gauge', name)
    t.notMatch(name, /_total$/, 'that is what counters are called')
  }
})

t.test('what is unknown is left out, also when it was known before', async (t) => {
  const metrics = createMonitorMetrics()
  await metrics.text({ sample: quietSample(at), alerts: [driftAlert(at)], since })
  const unknown = quietSample(at, {
    lag: { bytes: null, seconds: null },
    slot: null,
    disk: null,
    walBytesPerSecond: null,
    tables: [],
    recall: null,
  })
  t.strictSame(flat(await metrics.text({ sample: unknown, alerts: [], since })), {
    monitor_sample_timestamp_seconds: seconds,
    'server_up{server="primary"}': 1,
    'server_up{server="cloud"}': 1,
  })
  t.strictSame(flat(await metrics.text({ sample: null, alerts: [], since })), {}, 'before the first look')
})

t.test('the reader of the tests is strict', async (t) => {
  const head = '# HELP a_b x\n# TYPE a_b gauge\n'
  t.equal(readPrometheusText(`${head}a_b{c="d"} 1\n`).get('a_b')?.samples.get('a_b{c="d"}'), 1)
  for (const bad of [
    'a_b 1\n',
    `${head}a-b 1\n`,
    `${head}a_b NaN\n`,
    `${head}a_b{c=d} 1\n`,
    `${head}a_b 1`,
  ]) {
    t.throws(() => readPrometheusText(bad), bad)
  }
  for (const bad of [`${head}a_bc 1\n`, `${head}a_b 1\na_b 2\n`, head + head, '# TYPE a gauge\na 1\n']) {
    t.throws(() => readPrometheusText(bad), bad)
  }
})
