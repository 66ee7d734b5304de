import { createGzip } from 'node:zlib'
import { HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import {
  encodeEnvelopeHead,
  gatewayPaths as paths,
  mediaTypes,
  type BatchAnswer,
  type BatchInstructions,
} from '../gateway/protocol.ts'
import { encodePart } from './batch-codec.ts'
import type { Batch } from './batch.ts'
import type {
  Applied,
  ApplyOptions,
  CloudDescription,
  CloudLink,
  Lease,
  NeedRows,
  Progress,
} from './cloud-link.ts'
import { readGatewayAnswer } from './gateway-answer.ts'
import { openGatewayHttp, type GatewayRequest } from './gateway-http.ts'
import { gatewaySeed } from './gateway-seed.ts'

export interface GatewayLinkOptions {
  /** PRODUCTION_API_URL: https, or http on this machine */
  url: string
  /** PRODUCTION_API_KEY */
  apiKey: string
  log: Logger
  /** default 30 s */
  connectTimeoutMs?: number
  /** default 3 */
  retries?: number
  /** a connection on which nothing moves for so long is broken (default 60 s; the gateway answers within 20) */
  silenceMs?: number
  /** one request, however much moves (default 15 min) */
  deadlineMs?: number
  /** plain HTTP to other machines too */
  allowPlain?: boolean
}

/** Asks one thing of the gateway and returns the answer's body, by a field that it has. @throws as readGatewayAnswer. */
export type AskGateway = <Answer>(
  request: GatewayRequest,
  field: (keyof Answer & string) | null,
) => Promise<Answer>

/**
 * The cloud through the gateway. Every operation may be repeated, and is, a few times, when the connection breaks.
 *
 * @throws HomeportError CONFIG_INVALID, exit 2, for a URL that is not one or would show the key on the way; from
 *   every operation GATEWAY_UNREACHABLE, GATEWAY_REFUSED, and what the same operation throws straight at Postgres.
 */
export function openGatewayLink(options: GatewayLinkOptions): CloudLink {
  const http = openGatewayHttp({
    url: options.url,
    apiKey: options.apiKey,
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    retries: options.retries ?? 3,
    silenceMs: options.silenceMs ?? 60_000,
    deadlineMs: options.deadlineMs ?? 900_000,
    allowPlain: options.allowPlain ?? false,
  })
  const ask: AskGateway = async <Answer>(request: GatewayRequest, field: string | null) =>
    readGatewayAnswer(http.where, await http.send(request), field) as Answer
  const post = (path: string, body: unknown): GatewayRequest => ({ method: 'POST', path, body: asJson(body) })

  return {
    name: 'gateway',
    describe: (slot) =>
      ask<CloudDescription>({ method: 'GET', path: paths.cloud, query: { slot } }, 'tables'),
    acquire: (request) => ask<{ lease: Lease; progress: Progress }>(post(paths.lease, request), 'lease'),
    renew: (lease) => ask<void>(post(paths.renewal, { lease }), null),
    apply: createApply(ask),
    async readProgress(slot) {
      const request = { method: 'GET', path: paths.progress, query: { slot } } as const
      return (await ask<{ progress: Progress | null }>(request, 'progress')).progress
    },
    report: (lease, report) => ask<void>(post(paths.report, { lease, report }), null),
    seed: gatewaySeed(http, ask),
    close: () => Promise.resolve(http.close()),
  }
}

export function asJson(body: unknown): NonNullable<GatewayRequest['body']> {
  return { type: mediaTypes.json, bytes: Buffer.from(JSON.stringify(body), 'utf8') }
}

/** What of a large transaction the gateway has already. */
interface Staged {
  epoch: string
  end: string
  digests: string[]
}

function createApply(ask: AskGateway): CloudLink['apply'] {
  // A large transaction that comes again, because rows were missing or something broke, is not sent again from the start.
  let staged: Staged | null = null

  return async function apply(batch, options) {
    try {
      return await sendParts(batch, options)
    } catch (error) {
      if (!(error instanceof HomeportError) || error.code !== 'PARTS_MISSING') throw error
      staged = null
      return sendParts(batch, options)
    }
  }

  async function sendParts(batch: Batch, options: ApplyOptions): Promise<Applied | NeedRows> {
    const { epoch } = options.lease
    if (staged?.epoch !== epoch || staged.end !== batch.end) staged = { epoch, end: batch.end, digests: [] }
    const known = staged.digests
    const digests: string[] = []
    for await (const part of batch.parts()) {
      const encoded = encodePart(part)
      const { isLastPart } = part.header
      const digest = encoded.subarray(-32).toString('hex')
      if (!isLastPart && known[digests.length] === digest) {
        digests.push(digest)
        continue
      }
      const answer = await sendPart(encoded, instructionsOf(options, digests, isLastPart), options)
      if (answer.kind !== 'staged') return answer
      known.splice(digests.length, Infinity, digest)
      digests.push(digest)
    }
    throw new HomeportError('BATCH_DAMAGED', 'a batch has no last part', {
      hint: 'run ops relay again: it reads the batch once more',
    })
  }

  async function sendPart(
    encoded: Buffer,
    instructions: BatchInstructions,
    { signal, onBytes }: ApplyOptions,
  ): Promise<Exclude<BatchAnswer, { kind: 'working' }>> {
    const { slot } = instructions.lease
    const bytes = await compress([encodeEnvelopeHead(instructions), encoded])
    const send = async (): Promise<BatchAnswer> => {
      const body = { type: mediaTypes.batch, encoding: 'gzip', bytes } as const
      const answer = await ask<BatchAnswer>({ method: 'POST', path: paths.batches, body, signal }, 'kind')
      onBytes?.(bytes.length)
      return answer
    }
    let answer = await send()
    while (answer.kind === 'working') {
      const query = { slot, batch: answer.batch }
      answer = await ask<BatchAnswer>({ method: 'GET', path: paths.batches, query, signal }, 'kind').catch(
        (error: unknown) => {
          // The gateway was started again meanwhile, or another one answers.
          if (error instanceof HomeportError && error.code === 'BATCH_UNKNOWN') return send()
          throw error
        },
      )
    }
    return answer
  }
}

/** Pieces as one gzip, without a copy of them in one piece. */
async function compress(pieces: readonly Buffer[]): Promise<Buffer> {
  const packed = createGzip({ level: 1, chunkSize: 256 * 1024 })
  for (const piece of pieces) packed.write(piece)
  packed.end()
  const chunks: Buffer[] = []
  for await (const chunk of packed) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function instructionsOf(
  options: ApplyOptions,
  digests: readonly string[],
  isLastPart: boolean,
): BatchInstructions {
  const { lease, quarantine, fetched } = options
  return {
    lease,
    quarantine,
    parts: isLastPart ? digests : [],
    fetched: isLastPart ? (fetched ?? null) : null,
  }
}
