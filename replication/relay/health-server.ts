import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { errorCode, HomeportError } from '../../core/errors.ts'
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

export interface HealthServer {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Answers for supervisors and monitors: `/live` 200 as long as the process runs; `/health` 200 while the cloud gets
 * what it should, else 503, with {@link RelayHealth}; `/metrics` for Prometheus. No secret and no row is in them.
 *
 * @throws HomeportError LISTEN_FAILED, which names RELAY_PORT.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const host = options.host ?? '127.0.0.1'
  const app = buildHealthApp(options)
  try {
    await app.listen({ host, port: options.port })
  } catch (error) {
    throw explainListenError(error, `${host}:${options.port}`)
  }
  const { port } = app.server.address() as AddressInfo
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, port, close: () => app.close() }
}

function buildHealthApp({ health, metrics }: HealthServerOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    requestTimeout: 5_000,
    connectionTimeout: 10_000,
    keepAliveTimeout: 5_000,
    http: { headersTimeout: 5_000, connectionsCheckingInterval: 1_000 },
    bodyLimit: 1_024,
    // The end of the relay waits for no idle scraper.
    forceCloseConnections: true,
  })
  app.server.maxConnections = 100
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

function explainListenError(error: unknown, where: string): HomeportError {
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    EADDRINUSE: ['is taken by another program', 'another port: RELAY_PORT=9188, or 0 for any free one'],
    EACCES: ['may not be used by this user', 'a port above 1023: RELAY_PORT=9187'],
  }
  const [what, hint] = reasons[errorCode(error) ?? ''] ?? ['cannot be listened on', 'check RELAY_PORT']
  return new HomeportError('LISTEN_FAILED', `${where} ${what}`, { hint, cause: error })
}
