import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { addressKey } from '../../core/http/address-key.ts'
import { ProblemError } from '../../core/http/problem.ts'
import type { Authenticator, Caller, CredentialHeaders, Refusal } from './authenticate.ts'
import type { Permission } from './keys.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `anyone` needs no key; `optional` judges one if there is one; `key` takes any key, but no token. */
    permission?: Permission | 'anyone' | 'optional' | 'key'
  }
  interface FastifyRequest {
    caller: Caller | null
  }
}

export interface GuardOptions {
  authenticator: Authenticator
  failuresPerMinute: number
  onRefusal: (reason: Refusal | 'permission') => void
}

/**
 * Judges every request before its body is read. A route that names no permission, and an address with
 * nothing behind it, are for valid keys only. Failures are limited by address; a valid key is never kept out by
 * the failures of others, since behind a proxy all have one address.
 */
export async function registerGuard(app: FastifyInstance, options: GuardOptions): Promise<void> {
  await app.register(rateLimit, {
    global: false,
    max: options.failuresPerMinute,
    timeWindow: 60_000,
    cache: 50_000,
  })
  const countFailure = app.createRateLimit({
    max: options.failuresPerMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => addressKey(request.ip),
  })
  app.decorateRequest('caller', null)
  app.addHook('onRequest', async (request, reply) => {
    const needed = request.routeOptions.config.permission
    const headers: CredentialHeaders = request.raw.headersDistinct
    if (needed === 'anyone') return
    if (needed === 'optional' && headers.authorization === undefined && headers['x-api-key'] === undefined)
      return
    const verdict = await options.authenticator.identify(headers)
    const refusal =
      typeof verdict === 'string' ? verdict : isEnough(verdict, needed) ? null : ('permission' as const)
    if (refusal === null) {
      request.caller = verdict as Caller
      return
    }
    options.onRefusal(refusal)
    const failures = await countFailure(request)
    if (!failures.isAllowed && failures.isExceeded) {
      reply.header('retry-after', String(failures.ttlInSeconds))
      throw new ProblemError(429, 'RATE_LIMITED', 'too many refusals; wait as long as Retry-After says')
    }
    request.log.warn({ reason: refusal, address: request.ip, route: request.routeOptions.url }, 'refused')
    if (refusal === 'permission') {
      throw new ProblemError(403, 'FORBIDDEN', `this key may not do that: it needs ${needed}`)
    }
    reply.header('www-authenticate', 'Bearer')
    throw new ProblemError(401, 'UNAUTHORIZED', 'a valid key is needed')
  })
}

function isEnough(caller: Caller, needed: Permission | 'optional' | 'key' | undefined): boolean {
  if (needed === 'key') return caller.with === 'key'
  if (needed === 'optional') return caller.permissions.includes('relay:read')
  return needed === undefined || caller.permissions.includes(needed)
}
