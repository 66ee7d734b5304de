import { createHash } from 'node:crypto'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { errorCode } from '../../../core/errors.ts'
import { ProblemError } from '../../../core/http/problem.ts'
import { parseLsn } from '../../../core/lsn.ts'
import { decodePart } from '../../relay/batch-codec.ts'
import type { BatchPart } from '../../relay/batch.ts'
import type { ApplySettings } from '../../relay/apply/apply-batch.ts'
import type { Applied, ApplyOptions, CloudLink, NeedRows } from '../../relay/cloud-link.ts'
import type { BatchRunner } from '../batch-runner.ts'
import { acceptBatches } from '../body-parsers.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { gatewayPaths, type BatchAnswer, type BatchInstructions } from '../protocol.ts'
import type { BodyLimits } from '../read-body.ts'
import { batchBody, batchQuery } from '../schemas.ts'
import {
  batchOf,
  forgetParts,
  hasParts,
  partDigest,
  partsMissing,
  stagePart,
  type PartsDatabase,
} from '../staged-parts.ts'

interface BatchesDeps {
  cloud: CloudLink
  parts: PartsDatabase
  runner: BatchRunner
  log: FastifyBaseLogger
  bodyLimits: BodyLimits
  metrics: GatewayMetrics
}

/**
 * `POST /v1/batches` takes one part of a batch. All but the last are kept; with the last the whole batch and its
 * progress are committed in one transaction. `GET /v1/batches` waits for one that took longer than a request may.
 */
export function registerBatches(app: FastifyInstance, deps: BatchesDeps): void {
  acceptBatches(app, deps.bodyLimits, deps.metrics.onBody)
  const answered = (answer: BatchAnswer): { status: number; answer: BatchAnswer } => {
    deps.metrics.onBatch(answer)
    return { status: answer.kind === 'working' || answer.kind === 'staged' ? 202 : 200, answer }
  }

  app.post<{ Body: { instructions: BatchInstructions; content: Buffer } }>(
    gatewayPaths.batches,
    { config: { permission: 'relay:write' }, schema: { body: batchBody } },
    async ({ body }, reply) => {
      const { status, answer } = answered(await takePart(deps, body.instructions, body.content))
      return reply.status(status).send(answer)
    },
  )
  app.get<{ Querystring: { slot: string; batch: string } }>(
    gatewayPaths.batches,
    { config: { permission: 'relay:write' }, schema: { querystring: batchQuery } },
    async ({ query }, reply) => {
      const waiting = deps.runner.wait(query.slot, query.batch)
      if (waiting === undefined) {
        throw new ProblemError(404, 'BATCH_UNKNOWN', 'this batch is not being applied here; send it again')
      }
      const { status, answer } = answered(await waiting)
      return reply.status(status).send(answer)
    },
  )
}

async function takePart(
  deps: BatchesDeps,
  instructions: BatchInstructions,
  content: Buffer,
): Promise<BatchAnswer> {
  const part = decodePart(content)
  const { header } = part
  const { lease, parts: digests } = instructions
  if (header.slot !== lease.slot || (header.isLastPart && digests.length !== header.part)) {
    throw new ProblemError(400, 'ENVELOPE_INVALID', 'the instructions do not fit the batch')
  }
  if (header.part > 0 || !header.isLastPart) {
    const known = await alreadyThere(deps, part)
    if (known !== null) return known
  }
  if (!header.isLastPart) {
    await stagePart(deps.parts, lease, header, content)
    return { kind: 'staged', part: header.part }
  }
  const id = createHash('sha256')
    .update(JSON.stringify(instructions))
    .update(partDigest(content))
    .digest('hex')
  return deps.runner.run(lease.slot, id, () => applyWhole(deps, instructions, part))
}

/** A large transaction that is in the cloud by now: its parts need not be kept, nor sent to the end. */
async function alreadyThere({ cloud }: BatchesDeps, { header }: BatchPart): Promise<Applied | null> {
  const progress = await cloud.readProgress(header.slot)
  if (progress === null || parseLsn(progress.endLsn) < parseLsn(header.end)) return null
  return { kind: 'applied', isNew: false, progress, rows: 0, resolved: 0, quarantined: 0 }
}

async function applyWhole(
  deps: BatchesDeps,
  { lease, quarantine, parts: digests, fetched }: BatchInstructions,
  last: BatchPart,
): Promise<Applied | NeedRows> {
  const { header } = last
  if (!(await hasParts(deps.parts, lease, header.end, digests))) throw partsMissing()
  const options: ApplyOptions & ApplySettings = {
    lease,
    quarantine,
    side: 'gateway',
    ...(fetched === null ? {} : { fetched }),
  }
  const outcome = await deps.cloud.apply(batchOf(deps.parts, lease, { part: last, digests }), options)
  if (outcome.kind === 'applied' && digests.length > 0) {
    await forgetParts(deps.parts, lease, outcome.progress).catch((error: unknown) =>
      // The next one takes them along.
      deps.log.warn({ code: errorCode(error) }, 'parts that are in the cloud could not be deleted'),
    )
  }
  return outcome
}
