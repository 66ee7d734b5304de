import type { FastifyInstance } from 'fastify'
import { createLocalApp, listenLocally, type LocalServer } from '../../core/http/local-server.ts'
import type { RelayMetrics } from './metrics.ts'
import type { RelayState, RelayStatus } from './status-file.ts'

/** The documented JSON of /health. */
export interface RelayHealth extends RelayStatus {
  /** ok: changes reach the cloud, or are on their way there; failing: they wait */
  status: 'ok' | 'failing'
  pid: number
}

export interface HealthServerOptions {
  /** this machine only by default: who may ask is not checked */
  host?: string
  /** 0 is any free one */
  port: number
  metrics: Pick<RelayMetrics, 'text' | 'contentType'>
  health: () => RelayStatus
}

/**
 * Answers for supervisors and monitors: `/live` 200 as long as the process runs; `/health` 200 while the cloud gets
 * what it should, else 503, with {@link RelayHealth}; `/metrics` for Prometheus. No secret and no row is in them.
 *
 * @throws HomeportError LISTEN_FAILED, which names RELAY_PORT.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<LocalServer> {
  const { host, port } = options
  return listenLocally(buildHealthApp(options), { host, port, setting: 'RELAY_PORT', usualPort: 9187 })
}

function buildHealthApp({ health, metrics }: HealthServerOptions): FastifyInstance {
  const app = createLocalApp()
  app.addHook('onSend', async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
  })
  app.get('/live', async () => ({ status: 'live' }))
  app.get('/health', async (_request, reply) => {
    const answer = describeHealth(health())
    return reply.status(answer.status === 'ok' ? 200 : 503).send(answer)
  })
  app.get('/metrics', async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.text(health()))
  })
  return app
}

const working: readonly RelayState[] = ['seeding', 'following', 'draining']

/** What /health answers. */
export function describeHealth(status: RelayStatus): RelayHealth {
  return { status: working.includes(status.state) ? 'ok' : 'failing', pid: process.pid, ...status }
}
