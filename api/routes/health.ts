import type { FastifyInstance } from 'fastify'
import type { HealthReport } from '../health.ts'

export interface HealthRouteOptions {
  health: () => HealthReport
}

/**
 * `/live`: the process runs. `/ready`: a search would be answered. `/health`: how well, 503 only on error.
 * None of them waits for the database: they report what was last seen, seconds ago.
 */
export function registerHealth(app: FastifyInstance, { health }: HealthRouteOptions): void {
  app.get('/live', { config: { rateLimit: false } }, async () => ({ live: true }))
  app.get('/ready', { config: { rateLimit: false } }, async (_request, reply) => {
    const { source } = health()
    return reply.status(source === null ? 503 : 200).send({ ready: source !== null, source })
  })
  app.get('/health', async (_request, reply) => {
    const report = health()
    return reply
      .status(report.status === 'error' ? 503 : 200)
      .header('cache-control', 'no-store')
      .send(report)
  })
}
