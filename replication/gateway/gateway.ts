import type { AddressInfo } from 'node:net'
import { createPool } from '../../core/db.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { CloudLink } from '../relay/cloud-link.ts'
import { buildGateway, productionLimits, type GatewayLimits, type TlsFiles } from './app.ts'
import { createAuthenticator } from './authenticate.ts'
import { createHealthReader } from './health.ts'
import { createKeyStore } from './key-store.ts'

export interface GatewayOptions {
  /** where batches go: straight to the Postgres beside it; closed by whoever opened it, after `stop` */
  cloud: CloudLink
  /** GATEWAY_DATABASE_URL: the same database, for keys, parts and health */
  databaseUrl: string
  host: string
  /** 0: any free port */
  port: number
  /** GATEWAY_JWT_SECRET; no tokens without it */
  tokenSecret?: string | undefined
  /** where no proxy in front speaks TLS */
  tls?: TlsFiles | undefined
  log: Logger
  /** instead of the production ones, for tests */
  limits?: Partial<GatewayLimits>
}

export interface Gateway {
  /** where it listens */
  url: string
  /** Takes no more requests, lets what is being applied finish for a while, and closes everything. */
  stop(): Promise<void>
}

export const gatewayApplicationName = 'homeport gateway'
/** Supervisors usually allow 10 s; what is not committed by then is rolled back and comes again. */
const shutdownMs = 7_000

/**
 * Starts the gateway: the cloud's end of the relay for homes that may not reach its Postgres.
 * @throws HomeportError LISTEN_FAILED. A database that does not answer is reported by /health, not here.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { databaseUrl, log } = options
  // Statements of its own are short; the long ones run on the link's sessions.
  const pool = createPool({
    connectionString: databaseUrl,
    applicationName: gatewayApplicationName,
    max: 6,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 30_000,
    queryTimeoutMs: 35_000,
  })
  const { app, runner } = await buildGateway({
    cloud: options.cloud,
    parts: pool,
    authenticator: createAuthenticator({
      keys: createKeyStore({ db: pool }),
      tokenSecret: options.tokenSecret,
    }),
    health: createHealthReader(pool),
    log,
    limits: { ...productionLimits, ...options.limits },
    tls: options.tls,
  })
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (error) {
    await Promise.allSettled([app.close(), pool.end()])
    throw explainListenError(error, options)
  }
  const { address, family, port } = app.server.address() as AddressInfo
  const scheme = options.tls === undefined ? 'http' : 'https'
  return {
    url: `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async stop() {
      await withinMs(Promise.allSettled([app.close(), runner.idle()]), shutdownMs)
      app.server.closeAllConnections()
      await withinMs(Promise.allSettled([pool.end()]), 1_000)
    },
  }
}

function explainListenError(error: unknown, { host, port }: { host: string; port: number }): HomeportError {
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    EADDRINUSE: ['is taken by another program', 'stop that program, or set GATEWAY_PORT to another port'],
    EACCES: ['may not be used by this user', 'set GATEWAY_PORT to a port above 1023'],
    EADDRNOTAVAIL: ['is no address of this machine', 'GATEWAY_HOST=127.0.0.1, or 0.0.0.0 for all addresses'],
    ENOTFOUND: ['is no address of this machine', 'GATEWAY_HOST=127.0.0.1, or 0.0.0.0 for all addresses'],
  }
  const [what, hint] = reasons[errorCode(error) ?? ''] ?? [
    'cannot be listened on',
    'check GATEWAY_HOST and GATEWAY_PORT',
  ]
  return new HomeportError('LISTEN_FAILED', `${host}:${port} ${what}`, { hint, cause: error })
}

/** Waits for work that never rejects, but not longer. */
async function withinMs(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)))
  await Promise.race([work, limit])
  clearTimeout(timer)
}
