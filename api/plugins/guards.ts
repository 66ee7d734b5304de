import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { addressKey } from '../../core/http/address-key.ts'
import { registerSecurityHeaders } from '../../core/http/security-headers.ts'

export interface GuardOptions {
  requestsPerMinute: number
}

/** Security headers (the page loads nothing from elsewhere) and a limit of requests per address. */
export async function registerGuards(app: FastifyInstance, options: GuardOptions): Promise<void> {
  await registerSecurityHeaders(app)
  await app.register(rateLimit, {
    global: true,
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    // Addresses remembered at once; past it the oldest starts anew.
    cache: 50_000,
    keyGenerator: (request: FastifyRequest) => addressKey(request.ip),
  })
}
