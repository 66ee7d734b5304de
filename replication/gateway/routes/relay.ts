import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { CloudLink, Lease, LeaseRequest, RelayReport } from '../../relay/cloud-link.ts'
import { acceptJson } from '../body-parsers.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { gatewayPaths } from '../protocol.ts'
import type { BodyLimits } from '../read-body.ts'
import { leaseBody, renewalBody, reportBody, slotQuery } from '../schemas.ts'
import { forgetParts, type PartsDatabase } from '../staged-parts.ts'

/** Who may write, how far the cloud is, what it looks like, and how the relay is doing. */
export function registerRelay(
  app: FastifyInstance,
  deps: {
    cloud: CloudLink
    parts: PartsDatabase
    log: FastifyBaseLogger
    bodyLimits: BodyLimits
    metrics: GatewayMetrics
  },
): void {
  const { cloud, parts } = deps
  const read = { config: { permission: 'relay:read' } } as const
  const write = { config: { permission: 'relay:write' } } as const
  acceptJson(app, deps.bodyLimits, deps.metrics.onBody)

  app.get<{ Querystring: { slot: string } }>(
    gatewayPaths.cloud,
    { ...read, schema: { querystring: slotQuery } },
    async ({ query }) => cloud.describe(query.slot),
  )
  app.get<{ Querystring: { slot: string } }>(
    gatewayPaths.progress,
    { ...read, schema: { querystring: slotQuery } },
    async ({ query }) => ({ progress: await cloud.readProgress(query.slot) }),
  )
  app.post<{ Body: LeaseRequest }>(
    gatewayPaths.lease,
    { ...write, schema: { body: leaseBody } },
    async ({ body }) => {
      const granted = await cloud.acquire(body)
      // What a relay before this one left half sent is of no use.
      await forgetParts(parts, granted.lease, granted.progress)
      deps.log.info({ slot: body.slot, epoch: granted.lease.epoch, holder: body.holderName }, 'lease granted')
      return granted
    },
  )
  app.post<{ Body: { lease: Lease } }>(
    gatewayPaths.renewal,
    { ...write, schema: { body: renewalBody } },
    async ({ body }, reply) => {
      await cloud.renew(body.lease)
      return reply.status(204).send()
    },
  )
  app.post<{ Body: { lease: Lease; report: RelayReport } }>(
    gatewayPaths.report,
    { ...write, schema: { body: reportBody } },
    async ({ body }, reply) => {
      await cloud.report(body.lease, body.report)
      return reply.status(204).send()
    },
  )
}
