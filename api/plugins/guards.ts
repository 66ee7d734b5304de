import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { addressKey } from '../../core/http/address-key.ts'

export interface GuardOptions {
  requestsPerMinute: number
}

/** Security headers (the page loads nothing from elsewhere) and a limit of requests per address. */
export async function registerGuards(app: FastifyInstance, options: GuardOptions): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // Whether there is TLS in front is the proxy's to know and say.
    strictTransportSecurity: false,
  })
  await app.register(rateLimit, {
    global: true,
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    // Addresses remembered at once; past it the oldest starts anew.
    cache: 50_000,
    keyGenerator: (request: FastifyRequest) => addressKey(request.ip),
  })
}
