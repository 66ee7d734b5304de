import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { errorCode, HomeportError } from '../errors.ts'

export interface LocalServer {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Limits of a small server for supervisors and people on this machine: short requests, nothing kept, no log. */
export function createLocalApp(): FastifyInstance {
  const app = Fastify({
    logger: false,
    requestTimeout: 5_000,
    connectionTimeout: 10_000,
    keepAliveTimeout: 5_000,
    http: { headersTimeout: 5_000, connectionsCheckingInterval: 1_000 },
    bodyLimit: 1_024,
    // The end of the process waits for no idle scraper.
    forceCloseConnections: true,
  })
  app.server.maxConnections = 100
  return app
}

export interface ListenOptions {
  /** this machine only by default: who may ask is not checked */
  host?: string | undefined
  /** 0 is any free one */
  port: number
  /** the setting that chooses the port, and the port it usually is */
  setting: string
  usualPort: number
}

/** Lets an app listen. @throws HomeportError LISTEN_FAILED, which names the setting. */
export async function listenLocally(app: FastifyInstance, options: ListenOptions): Promise<LocalServer> {
  const host = options.host ?? '127.0.0.1'
  try {
    await app.listen({ host, port: options.port })
  } catch (error) {
    await app.close()
    throw explainListenError(error, `${host}:${options.port}`, options)
  }
  const { port } = app.server.address() as AddressInfo
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, port, close: () => app.close() }
}

function explainListenError(
  error: unknown,
  where: string,
  { setting, usualPort }: Pick<ListenOptions, 'setting' | 'usualPort'>,
): HomeportError {
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    EADDRINUSE: [
      'is taken by another program',
      `another port: ${setting}=${usualPort + 10}, or 0 for any free one`,
    ],
    EACCES: ['may not be used by this user', `a port above 1023: ${setting}=${usualPort}`],
  }
  const [what, hint] = reasons[errorCode(error) ?? ''] ?? ['cannot be listened on', `check ${setting}`]
  return new HomeportError('LISTEN_FAILED', `${where} ${what}`, { hint, cause: error })
}
