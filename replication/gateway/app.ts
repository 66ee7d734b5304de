import helmet from '@fastify/helmet'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { problem } from '../../core/http/problem.ts'
import { refuseConnection } from '../../core/http/refuse-connection.ts'
import type { CloudLink } from '../relay/cloud-link.ts'
import type { Authenticator } from './authenticate.ts'
import { createBatchRunner, type BatchRunner } from './batch-runner.ts'
import { registerGuard } from './guard.ts'
import type { HealthReader } from './health.ts'
import { createGatewayMetrics } from './metrics.ts'
import { registerProblems, sendProblem } from './problems.ts'
import { maxBodyBytes } from './protocol.ts'
import type { BodyLimits } from './read-body.ts'
import { registerBatches } from './routes/batches.ts'
import { registerHealth } from './routes/health.ts'
import { registerRelay } from './routes/relay.ts'
import { registerSeed } from './routes/seed.ts'
import { registerToken } from './routes/token.ts'
import type { PartsDatabase } from './staged-parts.ts'

/** What an HTTP server needs to be told to speak TLS itself; PEM. */
export interface TlsFiles {
  cert: string | Buffer
  key: string | Buffer
}

/** How long and how large things may get; the defaults are for production. */
export interface GatewayLimits {
  /** JSON and batches, unpacked */
  maxBodyBytes: number
  /** one range of the first copy, unpacked */
  maxCopyBytes: number
  minBytesPerSecond: number
  bodyGraceMs: number
  headersTimeoutMs: number
  /** after a refusal: how long the rest of a body is still taken off the wire, so that the answer arrives */
  lingerMs: number
  /** past this the answer to a batch is `working` */
  answerWithinMs: number
  failuresPerMinute: number
  /** copies of ranges at the same time */
  maxCopies: number
}

export const productionLimits: GatewayLimits = {
  maxBodyBytes,
  maxCopyBytes: 4 * 1024 ** 3,
  minBytesPerSecond: 1_024,
  bodyGraceMs: 15_000,
  headersTimeoutMs: 10_000,
  lingerMs: 3_000,
  answerWithinMs: 20_000,
  failuresPerMinute: 30,
  maxCopies: 8,
}

export interface GatewayDeps {
  /** where everything goes: straight to Postgres */
  cloud: CloudLink
  /** holds the parts of large transactions */
  parts: PartsDatabase
  authenticator: Authenticator
  health: HealthReader
  log: FastifyBaseLogger
  limits: GatewayLimits
  tls?: TlsFiles | undefined
}

export interface GatewayApp {
  app: FastifyInstance
  runner: BatchRunner
}

/** The gateway as an application that does not listen yet. */
export async function buildGateway(deps: GatewayDeps): Promise<GatewayApp> {
  const { limits } = deps
  const app = Fastify({
    loggerInstance: deps.log,
    logController: new LogController({ disableRequestLogging: true }),
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false },
    },
    exposeHeadRoutes: false,
    // Nobody's word about whose request it is: a refusal counts against who connected.
    trustProxy: false,
    // A body may take as long as it comes (read-body.ts watches its speed); headers may not.
    requestTimeout: 0,
    connectionTimeout: 0,
    keepAliveTimeout: 75_000,
    http: { headersTimeout: limits.headersTimeoutMs, connectionsCheckingInterval: 500 },
    ...(deps.tls === undefined ? {} : { https: { ...deps.tls, headersTimeout: limits.headersTimeoutMs } }),
    bodyLimit: limits.maxBodyBytes,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    clientErrorHandler: refuseConnection,
    frameworkErrors: (_error, _request, reply) => {
      void sendProblem(reply, problem(400, 'URL_INVALID', 'the address is not valid'))
    },
  }) as unknown as FastifyInstance
  app.server.maxConnections = 1_000
  const runner = createBatchRunner({ answerWithinMs: limits.answerWithinMs })
  const metrics = createGatewayMetrics({
    running: () => runner.running,
    lagSeconds: () => deps.health.lagSeconds,
  })
  await app.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } } })
  registerProblems(app)
  await registerGuard(app, {
    authenticator: deps.authenticator,
    failuresPerMinute: limits.failuresPerMinute,
    onRefusal: metrics.onRefusal,
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    // Fastify would hang up at once where a body was refused: hangUpLater does it.
    reply.removeHeader('connection')
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    metrics.onRequest(route, reply.statusCode, reply.elapsedTime / 1000)
    deps.log.debug({ route, status: reply.statusCode, ms: reply.elapsedTime }, 'request')
    if (!request.raw.complete) hangUpLater(request.raw, limits.lingerMs)
  })
  const body = (maxBytes: number): BodyLimits => ({
    maxBytes,
    minBytesPerSecond: limits.minBytesPerSecond,
    graceMs: limits.bodyGraceMs,
  })
  const shared = { ...deps, runner, metrics, bodyLimits: body(limits.maxBodyBytes) }
  await app.register(async (scope) => registerHealth(scope, shared))
  await app.register(async (scope) => registerToken(scope, shared))
  await app.register(async (scope) => registerRelay(scope, shared))
  await app.register(async (scope) => registerBatches(scope, shared))
  await app.register(async (scope) =>
    registerSeed(scope, { ...shared, copyLimits: body(limits.maxCopyBytes), maxCopies: limits.maxCopies }),
  )
  return { app, runner }
}

/**
 * The answer is out, and the client may still be sending: closing now could take the answer from it (RFC 9112,
 * 9.6), so node reads on, but not for long.
 */
function hangUpLater(request: IncomingMessage, afterMs: number): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.socket.destroy()
  }, afterMs)
  request.once('close', () => clearTimeout(timer))
}
