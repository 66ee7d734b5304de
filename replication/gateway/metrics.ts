import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Refusal } from './authenticate.ts'
import type { BodyCount } from './read-body.ts'
import type { BatchAnswer } from './protocol.ts'

export interface GatewayMetrics {
  onRequest: (route: string, status: number, seconds: number) => void
  onBody: (count: BodyCount) => void
  onRefusal: (reason: Refusal | 'permission') => void
  onBatch: (answer: BatchAnswer) => void
  /** Everything in the format of Prometheus. */
  text: () => Promise<string>
  readonly contentType: string
}

/** The gateway's counters, in a registry of their own. `state` is read when they are asked for. */
export function createGatewayMetrics(state: {
  running: () => number
  lagSeconds: () => number | null
}): GatewayMetrics {
  const registers = [new Registry()]
  const [registry] = registers as [Registry]
  collectDefaultMetrics({ register: registry, prefix: 'homeport_gateway_' })
  const requests = new Histogram({
    name: 'homeport_gateway_request_seconds',
    help: 'Requests by route and status',
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 30],
    registers,
  })
  const received = new Counter({
    name: 'homeport_gateway_received_bytes_total',
    help: 'Bytes of bodies that were read whole, on the wire and unpacked',
    labelNames: ['form'],
    registers,
  })
  const refused = new Counter({
    name: 'homeport_gateway_refused_total',
    help: 'Requests without a valid key or the permission they need',
    labelNames: ['reason'],
    registers,
  })
  const batches = new Counter({
    name: 'homeport_gateway_batches_total',
    help: 'Parts and batches by what became of them',
    labelNames: ['result'],
    registers,
  })
  const rows = new Counter({
    name: 'homeport_gateway_rows_total',
    help: 'Row changes that were committed',
    registers,
  })
  new Gauge({
    name: 'homeport_gateway_batches_running',
    help: 'Batches that are being applied',
    registers,
    collect() {
      this.set(state.running())
    },
  })
  new Gauge({
    name: 'homeport_gateway_lag_seconds',
    help: 'Age of the newest heartbeat in the cloud; NaN when there is none',
    registers,
    collect() {
      this.set(state.lagSeconds() ?? NaN)
    },
  })
  return {
    onRequest: (route, status, seconds) => requests.observe({ route, status: String(status) }, seconds),
    onBody(count) {
      received.inc({ form: 'wire' }, count.wireBytes)
      received.inc({ form: 'plain' }, count.plainBytes)
    },
    onRefusal: (reason) => refused.inc({ reason }),
    onBatch(answer) {
      batches.inc({ result: answer.kind === 'applied' && !answer.isNew ? 'duplicate' : answer.kind })
      if (answer.kind === 'applied') rows.inc(answer.rows)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}
