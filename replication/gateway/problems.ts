import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import { problem, ProblemError, problemType, type Problem } from '../../core/http/problem.ts'
import { decide } from '../relay/decide.ts'

/** Every refusal and failure leaves as problem+json; of what went wrong inside only what holds no row's value. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const answer = problemOf(error)
    // The driver's text may quote a value: the answer's says as much as may be said.
    const { code, detail, status } = answer
    const about = { code, detail, status, cause: errorCode(error) }
    const stack = code === 'INTERNAL' ? stackOf(error) : undefined
    if (status >= 500) request.log.error({ ...about, stack }, 'request failed')
    else if (answer.retry === 'stop') request.log.warn(about, 'request failed')
    if (answer.status === 503) reply.header('retry-after', '1')
    return sendProblem(reply, answer)
  })
  app.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, problem(404, 'NOT_FOUND', 'there is nothing at this address')),
  )
}

export function sendProblem(reply: FastifyReply, answer: Problem): FastifyReply {
  return reply.status(answer.status).type(problemType).send(JSON.stringify(answer))
}

/**
 * The answer to an error. Ours keep their code, message and hint, so that they come out of the relay's link as
 * they were: 409 where no repetition helps, 503 where one does. A server's keeps its SQLSTATE, and its text
 * only where that names objects and never values.
 */
export function problemOf(error: Error & { statusCode?: number | undefined }): Problem {
  if (error instanceof ProblemError) return error.problem
  const decision = decide(error, { hasWorked: true })
  const status = decision === 'stop' ? 409 : 503
  if (error instanceof HomeportError) {
    const more = { ...(error.hint === undefined ? {} : { hint: error.hint }), retry: decision }
    return problem(statusByCode[error.code] ?? status, error.code, errorMessage(error), more)
  }
  const framework = error.statusCode ?? 500
  if (framework >= 400 && framework < 500) return refusalOf(framework, error)
  const code = errorCode(error)
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) {
    return problem(status, code, describeSqlState(code, error), { retry: decision })
  }
  if (decision !== 'stop') {
    return problem(503, 'DATABASE_UNREACHABLE', 'the gateway cannot reach its database', {
      hint: 'check GATEWAY_DATABASE_URL, and that the database runs',
      retry: decision,
    })
  }
  return problem(500, 'INTERNAL', 'something failed in the gateway; its log says what', { retry: 'stop' })
}

const statusByCode: Readonly<Record<string, number>> = { BATCH_DAMAGED: 400, PGOUTPUT_DAMAGED: 400 }

/** Classes of errors whose text names objects, states and settings, never what is in a row. */
const harmless = /^(?:08|0A|25|28|3D|40|42|53|55|57|58)/

function describeSqlState(code: string, error: Error): string {
  const text = harmless.test(code) ? `: ${errorMessage(error)}` : ''
  return `the cloud refuses with SQLSTATE ${code}${text}`
}

const refusals: Readonly<Record<number, readonly [code: string, detail: string]>> = {
  413: ['BODY_TOO_LARGE', 'the request body is too large'],
  414: ['URL_TOO_LONG', 'the address is too long'],
  415: ['MEDIA_TYPE_UNSUPPORTED', 'this media type is not understood here'],
}

function refusalOf(status: number, error: Error & { validation?: unknown }): Problem {
  const [code, detail] = refusals[status] ?? ['REQUEST_INVALID', 'the request is not valid']
  // The schema's complaint names the place and the rule, not the value.
  return problem(
    status,
    code,
    error.validation === undefined ? detail : `the request is not valid: ${error.message}`,
  )
}

/** Where it happened, without what it said. */
function stackOf(error: Error): string | undefined {
  return error.stack
    ?.split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .join('\n')
}
