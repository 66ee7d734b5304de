import type { FastifyInstance } from 'fastify'
import { ProblemError } from '../../../core/http/problem.ts'
import type { Authenticator } from '../authenticate.ts'
import { acceptJson } from '../body-parsers.ts'
import type { Permission } from '../keys.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { gatewayPaths } from '../protocol.ts'
import type { BodyLimits } from '../read-body.ts'
import { tokenBody } from '../schemas.ts'
import { tokenSeconds } from '../tokens.ts'

/** `POST /v1/token`: a token of 24 hours for a key, with its permissions or fewer. A token makes no tokens. */
export function registerToken(
  app: FastifyInstance,
  deps: { authenticator: Authenticator; bodyLimits: BodyLimits; metrics: GatewayMetrics },
): void {
  acceptJson(app, deps.bodyLimits, deps.metrics.onBody)
  app.post<{ Body: { permissions?: Permission[] } }>(
    gatewayPaths.token,
    { config: { permission: 'key' }, schema: { body: tokenBody } },
    async (request) => {
      const { caller } = request
      const { tokens } = deps.authenticator
      if (tokens === null) {
        throw new ProblemError(404, 'TOKENS_OFF', 'this gateway makes no tokens', {
          hint: 'set GATEWAY_JWT_SECRET to 32 characters or more there, or use the key itself',
        })
      }
      if (caller === null) throw new ProblemError(401, 'UNAUTHORIZED', 'a valid key is needed')
      const permissions = request.body.permissions ?? [...caller.permissions]
      if (!permissions.every((permission) => caller.permissions.includes(permission))) {
        throw new ProblemError(403, 'FORBIDDEN', 'a token cannot do more than its key')
      }
      const { keyId, client } = caller
      const token = await tokens.sign({ keyId, client, permissions })
      return { token, token_type: 'Bearer', expires_in: tokenSeconds, client, permissions }
    },
  )
}
