import { STATUS_CODES } from 'node:http'

/** A refusal in the shape of RFC 9457 (application/problem+json) with a stable code. */
export interface Problem {
  type: 'about:blank'
  title: string
  status: number
  code: string
  detail: string
  /** The query parameter at fault. */
  field?: string
  /** The command that helps. */
  hint?: string
  /** What a program should do: the same again, connect anew, or give up. */
  retry?: 'again' | 'reconnect' | 'stop'
}

type ProblemDetails = Pick<Problem, 'field' | 'hint' | 'retry'>

export const problemType = 'application/problem+json; charset=utf-8'

/** Thrown by routes; the error handler answers with it. Its text is meant for whoever asked. */
export class ProblemError extends Error {
  readonly problem: Problem

  constructor(status: number, code: string, detail: string, more: ProblemDetails = {}) {
    super(detail)
    this.name = 'ProblemError'
    this.problem = problem(status, code, detail, more)
  }
}

export function problem(status: number, code: string, detail: string, more: ProblemDetails = {}): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, code, detail, ...more }
}
