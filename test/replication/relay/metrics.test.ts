import t from 'tap'
import { createRelayMetrics } from '../../../replication/relay/metrics.ts'
import { relayStates } from '../../../replication/relay/status-file.ts'
import { quietStatus } from './sample-status.ts'

/** The samples of an answer, by name with labels. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

t.test('counters', async (t) => {
  const metrics = createRelayMetrics()
  const before = samples(await metrics.text(quietStatus))
  t.equal(before.get('homeport_relay_batches_total{transport="direct"}'), 0, 'a rate has where to begin')
  t.equal(before.get('homeport_relay_reconnects_total{side="cloud"}'), 0)
  const batch = { transport: 'direct', seconds: 0.02, conflicts: 0, quarantined: 0 } as const
  metrics.onApplied({
    ...batch,
    rows: [
      { table: 'segments', operation: 'insert', count: 7 },
      { table: 'embeddings', operation: 'insert', count: 5 },
    ],
  })
  metrics.onApplied({
    ...batch,
    rows: [{ table: 'segments', operation: 'insert', count: 3 }],
    transport: 'gateway',
    seconds: 3,
    conflicts: 2,
    quarantined: 1,
  })
  metrics.onSent('gateway', 1000)
  metrics.onReconnect('primary')
  const after = samples(await metrics.text(quietStatus))
  const expected: Record<string, number> = {
    'homeport_relay_rows_total{table="segments",operation="insert"}': 10,
    'homeport_relay_rows_total{table="embeddings",operation="insert"}': 5,
    'homeport_relay_batches_total{transport="direct"}': 1,
    'homeport_relay_batches_total{transport="gateway"}': 1,
    'homeport_relay_bytes_sent_total{transport="gateway"}': 1000,
    'homeport_relay_bytes_sent_total{transport="direct"}': 0,
    'homeport_relay_reconnects_total{side="primary"}': 1,
    homeport_relay_conflicts_total: 2,
    homeport_relay_quarantined_total: 1,
    homeport_relay_apply_seconds_count: 2,
    homeport_relay_apply_seconds_sum: 3.02,
    'homeport_relay_apply_seconds_bucket{le="0.025"}': 1,
    'homeport_relay_apply_seconds_bucket{le="+Inf"}': 2,
  }
  for (const [name, value] of Object.entries(expected)) t.equal(after.get(name), value, name)
})

t.test('what is momentary is what the status says', async (t) => {
  const metrics = createRelayMetrics()
  const busy = samples(
    await metrics.text({
      ...quietStatus,
      state: 'spooling',
      transport: 'gateway',
      lag: { seconds: 12.5, bytes: 4096 },
      slot: { name: 'x', retainedBytes: 777, usedShare: 0.5, secondsToCut: 60 },
      spool: { batches: 3, bytes: 900, firstAfter: '0/1', endLsn: '0/2' },
      isIngestPaused: true,
    }),
  )
  const gauges = {
    lag_seconds: 12.5,
    lag_bytes: 4096,
    slot_retained_bytes: 777,
    slot_used_ratio: 0.5,
    slot_seconds_to_cut: 60,
    spool_bytes: 900,
    spool_batches: 3,
    ingest_paused: 1,
    'transport{name="gateway"}': 1,
    'transport{name="direct"}': 0,
    'state{state="spooling"}': 1,
  }
  for (const [name, value] of Object.entries(gauges)) t.equal(busy.get(`homeport_relay_${name}`), value, name)
  t.equal(
    relayStates.reduce((sum, state) => sum + (busy.get(`homeport_relay_state{state="${state}"}`) ?? NaN), 0),
    1,
    'one state at a time',
  )

  const unknown = samples(
    await metrics.text({ ...quietStatus, lag: { seconds: null, bytes: null }, slot: null, transport: null }),
  )
  for (const name of [
    'lag_seconds',
    'lag_bytes',
    'slot_retained_bytes',
    'slot_used_ratio',
    'slot_seconds_to_cut',
  ]) {
    t.notOk(unknown.has(`homeport_relay_${name}`), `${name} is unknown and left out`)
  }
  t.equal(unknown.get('homeport_relay_spool_bytes'), 0)
  t.equal(unknown.get('homeport_relay_transport{name="gateway"}'), 0)
  t.equal(samples(await metrics.text(quietStatus)).get('homeport_relay_lag_seconds'), 0, 'known again')
})

t.test('a stop has its code, and nothing else has', async (t) => {
  const metrics = createRelayMetrics()
  const lastError = { code: 'SLOT_LOST', message: 'x', hint: null, at: '' }
  const named = async (status: Parameters<typeof metrics.text>[0]): Promise<string[]> =>
    [...samples(await metrics.text(status)).keys()].filter((name) => name.includes('_stopped'))
  t.strictSame(await named({ ...quietStatus, lastError }), [])
  t.strictSame(await named({ ...quietStatus, state: 'stopped', lastError }), [
    'homeport_relay_stopped{code="SLOT_LOST"}',
  ])
  t.strictSame(
    await named({ ...quietStatus, state: 'stopped', lastError: { ...lastError, code: 'RELAY_GAP' } }),
    ['homeport_relay_stopped{code="RELAY_GAP"}'],
  )
  t.strictSame(await named(quietStatus), [])
})

t.test('two in one process count apart', async (t) => {
  const [one, other] = [createRelayMetrics(), createRelayMetrics()]
  one.onSent('direct', 5)
  t.equal(
    samples(await other.text(quietStatus)).get('homeport_relay_bytes_sent_total{transport="direct"}'),
    0,
  )
})
