import { HomeportError } from '../../core/errors.ts'
import { problemType } from '../../core/http/problem.ts'
import type { GatewayAnswer } from './gateway-http.ts'

/** An error of the cloud's Postgres that the gateway passed on: decided by its SQLSTATE, like the driver's own. */
export class CloudRefusal extends Error {
  /** SQLSTATE */
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'CloudRefusal'
    this.code = code
  }
}

/**
 * The body of a good answer, parsed, which has this field; undefined where none is due (null). Anything else becomes
 * the error that happened in the gateway, under the same code.
 *
 * @throws HomeportError GATEWAY_REFUSED when the key is not good (enough), or no gateway answers there.
 * @throws HomeportError GATEWAY_UNREACHABLE when it is busy, or a proxy answers for it.
 * @throws HomeportError of the gateway, CloudRefusal.
 */
export function readGatewayAnswer(where: string, answer: GatewayAnswer, field: string | null): unknown {
  const { status } = answer
  if (status === 204 && field === null) return undefined
  const body = status === 200 || status === 202 ? parse(answer) : undefined
  if (body === undefined || field === null || !(field in body)) throw errorOf(where, answer)
  return body
}

/** Codes of the gateway itself that say: not now. */
const notNow: ReadonlySet<string> = new Set(['GATEWAY_BUSY', 'RATE_LIMITED', 'BODY_TOO_SLOW', 'BODY_CUT'])

function errorOf(where: string, answer: GatewayAnswer): Error {
  const { status } = answer
  const found = answer.type === problemType ? parse(answer) : undefined
  const code = typeof found?.['code'] === 'string' ? found['code'] : undefined
  const detail = typeof found?.['detail'] === 'string' ? found['detail'] : ''
  const hint = typeof found?.['hint'] === 'string' ? found['hint'] : undefined
  if (status === 401 || status === 403) return refused(where, status, detail)
  if (code === undefined && status === 413) return tooLargeOnTheWay(where)
  if (code === undefined || code === 'NOT_FOUND') {
    return [408, 429, 500, 502, 503, 504].includes(status)
      ? unreachable(where, `something before it answers with ${status}`)
      : noGateway(where, status)
  }
  if (notNow.has(code) || status === 408 || status === 429) return unreachable(where, detail)
  if (/^[0-9A-Z]{5}$/.test(code)) return new CloudRefusal(code, detail)
  return new HomeportError(code, detail, hint === undefined ? {} : { hint })
}

function refused(where: string, status: number, detail: string): HomeportError {
  return new HomeportError(
    'GATEWAY_REFUSED',
    `the gateway at ${where} refuses the key (${status}): ${detail}`,
    {
      hint: 'ops keys create makes a new one, with the cloud in PRODUCTION_DATABASE_URL; put it into PRODUCTION_API_KEY',
      exitCode: 2,
    },
  )
}

function noGateway(where: string, status: number): HomeportError {
  const redirects = status >= 300 && status < 400
  return new HomeportError(
    'GATEWAY_REFUSED',
    redirects
      ? `${where} sends requests elsewhere (${status})`
      : `${where} is no gateway (it answers ${status})`,
    {
      hint: redirects
        ? 'put the address it sends to into PRODUCTION_API_URL: a key is not carried on by itself'
        : 'PRODUCTION_API_URL is the address of ops gateway, not of the api',
      exitCode: 2,
    },
  )
}

function tooLargeOnTheWay(where: string): HomeportError {
  return new HomeportError(
    'BODY_TOO_LARGE',
    `something before the gateway at ${where} takes smaller requests only`,
    {
      hint: 'raise its limit to 64 MB (nginx: client_max_body_size 64m)',
    },
  )
}

function unreachable(where: string, why: string): HomeportError {
  return new HomeportError('GATEWAY_UNREACHABLE', `${where}: ${why}`, {
    hint: 'wait a moment; ops gateway says in its log what it is busy with',
  })
}

function parse(answer: GatewayAnswer): Record<string, unknown> | undefined {
  if (!/^application\/(?:problem\+)?json\b/.test(answer.type)) return undefined
  try {
    const value: unknown = JSON.parse(answer.body.toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    // Not what a gateway says; the status decides.
    return undefined
  }
}
