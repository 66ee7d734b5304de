import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
} from 'fastify'
import type { HealthReport } from './health.ts'
import { refuseConnection } from '../core/http/refuse-connection.ts'
import { registerGuards } from './plugins/guards.ts'
import { registerProblems } from './plugins/problems.ts'
import { problem, problemType } from '../core/http/problem.ts'
import type { Pulse } from './pulse.ts'
import { registerHealth } from './routes/health.ts'
import { registerSearch } from './routes/search.ts'
import type { SearchEngine } from './search/engine.ts'

export interface ApiDeps {
  engine: SearchEngine
  pulse: Pick<Pulse, 'facts'>
  health: () => HealthReport
  log: FastifyBaseLogger
  requestsPerMinute: number
  /** Addresses of the proxies in front; what others claim in X-Forwarded-For is ignored. */
  trustedProxies: readonly string[]
}

const requestTimeoutMs = 5_000

/** The api as an application that does not listen yet. */
export async function buildApp(deps: ApiDeps): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: deps.log,
    // Addresses of requests hold the questions people ask: they are not logged.
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: deps.trustedProxies.length === 0 ? false : [...deps.trustedProxies],
    // A whole request must have arrived by then, however slowly it drips.
    requestTimeout: requestTimeoutMs,
    connectionTimeout: 30_000,
    keepAliveTimeout: 30_000,
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1_000 },
    bodyLimit: 16_384,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    clientErrorHandler: refuseConnection,
    frameworkErrors: (_error, _request, reply) => {
      const refusal = problem(400, 'URL_INVALID', 'the address is not valid')
      void (reply as FastifyReply).status(400).type(problemType).send(JSON.stringify(refusal))
    },
  })
  app.server.maxConnections = 2_000
  await registerGuards(app, deps)
  registerProblems(app)
  app.addHook('onResponse', async (request, reply) => {
    deps.log.debug(
      {
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        status: reply.statusCode,
        ms: reply.elapsedTime,
      },
      'request',
    )
  })
  registerSearch(app, deps)
  registerHealth(app, deps)
  await app.register(fastifyStatic, {
    root: fileURLToPath(new URL('./web/', import.meta.url)),
    wildcard: false,
    maxAge: 60_000,
  })
  return app
}
