import type { FastifyInstance } from 'fastify'
import type { HealthReader } from '../health.ts'
import type { GatewayMetrics } from '../metrics.ts'

/**
 * `/live`: the process runs. `/health`: how the relays are, 503 only when the database does not answer; why one
 * stopped, and where it is, only with a key. `/metrics`: with a key, since it says how much is going on.
 */
export function registerHealth(
  app: FastifyInstance,
  deps: { health: HealthReader; metrics: GatewayMetrics },
): void {
  app.get('/live', { config: { permission: 'anyone' } }, async () => ({ live: true }))
  app.get('/health', { config: { permission: 'optional' } }, async (request, reply) => {
    const health = await deps.health.read()
    const { status, state, stop_code, lag_seconds } = health
    return reply
      .status(status === 'error' ? 503 : 200)
      .send(request.caller === null ? { status, state, stop_code, lag_seconds } : health)
  })
  app.get('/metrics', { config: { permission: 'relay:read' } }, async (_request, reply) => {
    // For the lag.
    await deps.health.read()
    return reply.type(deps.metrics.contentType).send(await deps.metrics.text())
  })
}
