import type { FastifyInstance } from 'fastify'
import type { Readable } from 'node:stream'
import { ProblemError } from '../../../core/http/problem.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { notPublished } from '../../relay/apply/errors.ts'
import type { CloudLink, SeedLink } from '../../relay/cloud-link.ts'
import { acceptCopies, acceptJson } from '../body-parsers.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { gatewayPaths, type CopyInstructions } from '../protocol.ts'
import type { BodyLimits } from '../read-body.ts'
import { copyBody, seedBody, seedEndBody, slotQuery } from '../schemas.ts'

interface SeedDeps {
  cloud: CloudLink
  bodyLimits: BodyLimits
  copyLimits: BodyLimits
  maxCopies: number
  metrics: GatewayMetrics
}

/** The initial copy: its list of ranges, the rows of each, and its end. */
export async function registerSeed(app: FastifyInstance, deps: SeedDeps): Promise<void> {
  const { seed } = deps.cloud
  const write = { config: { permission: 'relay:write' } } as const
  acceptJson(app, deps.bodyLimits, deps.metrics.onBody)
  await app.register(async (scope) => registerCopies(scope, deps))

  app.post<{ Body: Parameters<SeedLink['begin']>[0] }>(
    gatewayPaths.seed,
    { ...write, schema: { body: seedBody } },
    async ({ body }, reply) => {
      refuseForeignTables([...body.empty, ...body.ranges.map((range) => range.table)])
      await seed.begin(body)
      return reply.status(204).send()
    },
  )
  app.get<{ Querystring: { slot: string } }>(
    gatewayPaths.seedRanges,
    { config: { permission: 'relay:read' }, schema: { querystring: slotQuery } },
    async ({ query }) => ({ ranges: await seed.ranges(query.slot) }),
  )
  app.post<{ Body: { slot: string } }>(
    gatewayPaths.seedEnd,
    { ...write, schema: { body: seedEndBody } },
    async ({ body }) => ({ progress: await seed.finish(body.slot) }),
  )
}

/** The rows go into the database as they come; nothing of them is committed before the last one is there. */
function registerCopies(app: FastifyInstance, deps: SeedDeps): void {
  let copies = 0
  acceptCopies(app, deps.copyLimits, deps.metrics.onBody)
  app.post<{ Body: { instructions: CopyInstructions; content: Readable } }>(
    gatewayPaths.seedCopy,
    { config: { permission: 'relay:write' }, schema: { body: copyBody } },
    async ({ body }) => {
      const { slot, range, columns, snapshotLsn } = body.instructions
      copies += 1
      try {
        refuseForeignTables([range.table])
        if (copies > deps.maxCopies) throw busy()
        return await deps.cloud.seed.copyRange({
          slot,
          range: { ...range, snapshotLsn: null, rows: null },
          columns,
          snapshotLsn,
          rows: body.content,
        })
      } catch (error) {
        // What stopped the rows on their way here says more than what their end did to the copy.
        throw body.content.errored ?? error
      } finally {
        copies -= 1
        body.content.destroy()
      }
    },
  )
}

function busy(): ProblemError {
  return new ProblemError(503, 'GATEWAY_BUSY', 'too many ranges are being copied', { retry: 'reconnect' })
}

const published = new Set(publishedTables.map((table) => table.name))

/** A key may write content: never keys, progress or what a migration keeps. */
function refuseForeignTables(tables: readonly string[]): void {
  const foreign = tables.find((table) => !published.has(table))
  if (foreign !== undefined) throw notPublished(JSON.stringify(foreign))
}
