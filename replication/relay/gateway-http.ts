import { once } from 'node:events'
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { backoffMs, sleep } from '../../core/backoff.ts'
import { HomeportError } from '../../core/errors.ts'
import type { mediaTypes } from '../gateway/protocol.ts'
import { checkGatewayUrl, explainUnreachable, timedOut } from './gateway-reach.ts'

export interface GatewayHttpOptions {
  /** PRODUCTION_API_URL */
  url: string
  apiKey: string
  connectTimeoutMs: number
  /** quick repetitions after a broken connection and 429, 502, 503, 504 */
  retries: number
  /** a connection on which nothing moves for so long is broken */
  silenceMs: number
  /** a request that takes longer is given up, however much moves; not one whose body is a stream */
  deadlineMs: number
  /** plain HTTP to other machines too */
  allowPlain: boolean
}

export interface GatewayRequest {
  method: 'GET' | 'POST'
  path: string
  query?: Readonly<Record<string, string>>
  body?: { type: (typeof mediaTypes)[keyof typeof mediaTypes]; encoding?: 'gzip'; bytes: Buffer }
  signal?: AbortSignal | undefined
}

/** A body that exists only once, as gzip. */
export interface StreamRequest extends Omit<GatewayRequest, 'body'> {
  type: string
  body: Readable
}

export interface GatewayAnswer {
  status: number
  type: string
  retryAfterMs: number | null
  body: Buffer
}

export interface GatewayHttp {
  /** `host:port`, for messages */
  readonly where: string
  /** The answer, whatever its status, after quick repetitions. @throws HomeportError GATEWAY_UNREACHABLE. */
  send(request: GatewayRequest): Promise<GatewayAnswer>
  /** The same for a body that exists only once: no repetition after its first byte, on a connection of its own. */
  sendStream(request: StreamRequest): Promise<GatewayAnswer>
  close(): void
}

const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])
const maxAnswerBytes = 64 * 1024 * 1024
const longestRetryAfterMs = 5_000

/** HTTP(S) to the gateway with connections that are kept; certificates are judged by node's authorities. */
export function openGatewayHttp(options: GatewayHttpOptions): GatewayHttp {
  const base = checkGatewayUrl(options.url, options.allowPlain)
  const isTls = base.protocol === 'https:'
  const kept = isTls ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true })
  const closed = new AbortController()
  return { where: base.host, send, sendStream, close }

  async function send(wanted: GatewayRequest): Promise<GatewayAnswer> {
    return repeated(wanted.signal, async () => {
      const { signal, release } = begin(wanted.signal, options.deadlineMs)
      try {
        const { body } = wanted
        const request = open(wanted, kept, {
          ...(body === undefined ? {} : { 'content-type': body.type, 'content-length': body.bytes.length }),
          ...(body?.encoding === undefined ? {} : { 'content-encoding': body.encoding }),
        })
        const answer = answerOf(request, signal)
        request.end(body?.bytes)
        return await answer
      } finally {
        release()
      }
    })
  }

  async function sendStream(wanted: StreamRequest): Promise<GatewayAnswer> {
    const { body } = wanted
    let hasBegun = false
    let failedFirst: 'body' | 'request' | undefined
    body.once('error', () => (failedFirst ??= 'body'))
    const attempt = async (): Promise<GatewayAnswer> => {
      const { signal, release } = begin(wanted.signal)
      try {
        const request = open(wanted, false, { 'content-type': wanted.type, 'content-encoding': 'gzip' })
        const answer = answerOf(request, signal)
        answer.catch(() => hasBegun && (failedFirst ??= 'request'))
        request.flushHeaders()
        await Promise.race([connected(request), answer])
        hasBegun = true
        // A refusal may come before the end of the body, and says more than the broken pipe after it.
        await Promise.race([Promise.all([pipeline(body, request, { signal }), answer]), answer])
        return await answer
      } finally {
        release()
      }
    }
    try {
      return await repeated(wanted.signal, attempt, () => !hasBegun && failedFirst === undefined)
    } catch (error) {
      throw failedFirst === 'body' ? (body.errored ?? error) : error
    }
  }

  function close(): void {
    closed.abort(new HomeportError('GATEWAY_UNREACHABLE', 'the link to the gateway was closed'))
    kept.destroy()
  }

  function begin(
    outer: AbortSignal | undefined,
    deadlineMs?: number,
  ): { signal: AbortSignal; release: () => void } {
    const inner = new AbortController()
    const late = (): void => inner.abort(timedOut('the answer took too long'))
    const timer = deadlineMs === undefined ? undefined : setTimeout(late, deadlineMs)
    const stop = (): void => inner.abort(outer?.aborted === true ? outer.reason : closed.signal.reason)
    const signals = [closed.signal, ...(outer === undefined ? [] : [outer])]
    for (const signal of signals) {
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop, { once: true })
    }
    return {
      signal: inner.signal,
      release: () => {
        clearTimeout(timer)
        for (const signal of signals) signal.removeEventListener('abort', stop)
      },
    }
  }

  function open(
    { method, path, query }: Pick<GatewayRequest, 'method' | 'path' | 'query'>,
    agent: Agent | false,
    headers: Readonly<Record<string, string | number>>,
  ): ClientRequest {
    const url = new URL(base.pathname.replace(/\/$/, '') + path, base)
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
    const start = isTls ? httpsRequest : httpRequest
    return start(url, {
      method,
      agent,
      headers: { accept: 'application/json', authorization: `Bearer ${options.apiKey}`, ...headers },
    })
  }

  async function answerOf(request: ClientRequest, signal: AbortSignal): Promise<GatewayAnswer> {
    const stop = (): void => void request.destroy(signal.reason as Error)
    const timer = setTimeout(
      () => request.destroy(timedOut(`no connection within ${options.connectTimeoutMs / 1000} s`)),
      options.connectTimeoutMs,
    )
    request.once('error', () => clearTimeout(timer))
    connected(request).then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
    // node counts what moves in either direction.
    request.setTimeout(options.silenceMs, () =>
      request.destroy(timedOut(`nothing moved for ${options.silenceMs / 1000} s`)),
    )
    signal.addEventListener('abort', stop, { once: true })
    try {
      if (signal.aborted) stop()
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return await readAnswer(response)
    } catch (error) {
      // Once the answer has begun, its end says only that it was cut off.
      signal.throwIfAborted()
      throw error
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      // What is left of a late error is nobody's.
      request.on('error', () => undefined)
    }
  }

  async function repeated(
    signal: AbortSignal | undefined,
    attempt: () => Promise<GatewayAnswer>,
    mayRepeat: () => boolean = () => true,
  ): Promise<GatewayAnswer> {
    for (let count = 0; ; count++) {
      let waitMs = backoffMs({ attempt: count, baseMs: 250, maxMs: 4_000 })
      const isLast = (): boolean => count >= options.retries || !mayRepeat() || closed.signal.aborted
      try {
        const answer = await attempt()
        if (!passing.has(answer.status) || isLast()) return answer
        waitMs = Math.max(waitMs, Math.min(answer.retryAfterMs ?? 0, longestRetryAfterMs))
      } catch (error) {
        signal?.throwIfAborted()
        if (isLast()) throw explainUnreachable(base.host, error)
      }
      await sleep(waitMs, signal)
    }
  }
}

async function connected(request: ClientRequest): Promise<void> {
  const socket = request.socket ?? ((await once(request, 'socket')) as [typeof request.socket])[0]
  if (socket === null || !socket.connecting) return
  await once(socket, 'encrypted' in socket ? 'secureConnect' : 'connect')
}

async function readAnswer(response: IncomingMessage): Promise<GatewayAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw timedOut('the answer does not end')
    chunks.push(chunk)
  }
  const retryAfter = Number(response.headers['retry-after'])
  return {
    status: response.statusCode ?? 0,
    type: response.headers['content-type'] ?? '',
    retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * 1000 : null,
    body: Buffer.concat(chunks),
  }
}
