import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'
import { HomeportError } from '../../core/errors.ts'
import { problem, ProblemError, problemType, type Problem } from '../../core/http/problem.ts'

/** Every refusal and failure leaves as problem+json; what went wrong inside goes to the log only. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const answer = problemOf(error)
    // That nobody can answer is logged where it is found out, once: a line a visitor would fill the disk.
    if (answer.status >= 500 && answer.code !== 'NO_SOURCE') {
      request.log.error({ err: error, code: answer.code }, 'request failed')
    }
    if (answer.status === 503) reply.header('retry-after', '2')
    return sendProblem(reply, answer)
  })
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request, reply) => {
    const url = request.url.split('?', 1)[0] ?? ''
    if (app.hasRoute({ method: 'GET', url })) {
      reply.header('allow', 'GET, HEAD')
      return sendProblem(reply, problem(405, 'METHOD_NOT_ALLOWED', 'only GET and HEAD are understood here'))
    }
    return sendProblem(reply, problem(404, 'NOT_FOUND', 'there is nothing at this address'))
  })
}

function sendProblem(reply: FastifyReply, answer: Problem): FastifyReply {
  return reply.status(answer.status).type(problemType).send(JSON.stringify(answer))
}

/** What may be said about an error: ours and the framework's refusals as they are, all else only that it happened. */
export function problemOf(error: Error & { statusCode?: number | undefined; code?: string }): Problem {
  if (error instanceof ProblemError) return error.problem
  if (error instanceof HomeportError && error.code === 'NO_SOURCE') {
    return problem(503, error.code, error.message)
  }
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) {
    return problem(
      status,
      frameworkCodes[status] ?? 'BAD_REQUEST',
      frameworkTexts[status] ?? 'the request is not valid',
    )
  }
  return problem(500, 'INTERNAL', 'something failed here; the log of the api says what')
}

const frameworkCodes: Readonly<Record<number, string>> = {
  413: 'BODY_TOO_LARGE',
  414: 'URL_TOO_LONG',
  415: 'MEDIA_TYPE_UNSUPPORTED',
  429: 'RATE_LIMITED',
}
const frameworkTexts: Readonly<Record<number, string>> = {
  413: 'the request body is too large',
  414: 'the address is too long',
  415: 'this media type is not understood here',
  429: 'too many requests from this address; wait as long as Retry-After says',
}
