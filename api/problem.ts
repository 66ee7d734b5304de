/** A refusal in the shape of RFC 9457 (application/problem+json) with a stable code. */
export interface Problem {
  type: 'about:blank'
  title: string
  status: number
  code: string
  detail: string
  /** The query parameter at fault. */
  field?: string
}

/** Thrown by routes; the error handler answers with it. Its text is meant for the person who asked. */
export class ProblemError extends Error {
  readonly problem: Problem

  constructor(status: number, code: string, detail: string, field?: string) {
    super(detail)
    this.name = 'ProblemError'
    this.problem = problem(status, code, detail, field)
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

export function problem(status: number, code: string, detail: string, field?: string): Problem {
  return {
    type: 'about:blank',
    title: titles[status] ?? 'Error',
    status,
    code,
    detail,
    ...(field === undefined ? {} : { field }),
  }
}

export const problemType = 'application/problem+json; charset=utf-8'
