import { ProblemError } from '../../core/http/problem.ts'

export interface SearchQuery {
  q: string
  limit: number
  offset: number
}

export const longestQuery = 1_000
export const largestLimit = 100
export const largestOffset = 500
const defaultLimit = 10

/**
 * Reads the query string of `/search` strictly: nothing is coerced, cut off or ignored.
 *
 * @param raw the part of the address after `?`, as sent
 * @throws ProblemError 400 that names the field.
 */
export function parseSearchQuery(raw: string): SearchQuery {
  const fields = readFields(raw)
  return {
    q: readQuestion(fields.get('q')),
    limit: readNumber(fields, 'limit', { byDefault: defaultLimit, min: 1, max: largestLimit }),
    offset: readNumber(fields, 'offset', { byDefault: 0, min: 0, max: largestOffset }),
  }
}

const known = new Set(['q', 'limit', 'offset'])

function readFields(raw: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const part of raw.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decode(equals < 0 ? part : part.slice(0, equals), undefined)
    if (!known.has(name)) {
      const shown = name.length > 40 ? `${name.slice(0, 40)}…` : name
      throw new ProblemError(400, 'FIELD_UNKNOWN', 'only q, limit and offset are understood here', {
        field: shown,
      })
    }
    if (fields.has(name))
      throw new ProblemError(400, 'FIELD_REPEATED', `${name} is given twice`, { field: name })
    fields.set(name, decode(equals < 0 ? '' : part.slice(equals + 1), name))
  }
  return fields
}

function decode(text: string, field: string | undefined): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new ProblemError(
      400,
      'FIELD_ENCODING',
      'the address is not percent-encoded UTF-8',
      field === undefined ? {} : { field },
    )
  }
}

function readQuestion(text: string | undefined): string {
  if (text === undefined)
    throw new ProblemError(400, 'QUERY_MISSING', 'q, the question, is missing', { field: 'q' })
  const trimmed = text.trim()
  if (trimmed === '') throw new ProblemError(400, 'QUERY_EMPTY', 'q, the question, is empty', { field: 'q' })
  if (text.length > longestQuery) {
    throw new ProblemError(400, 'QUERY_TOO_LONG', `q is longer than ${longestQuery} characters`, {
      field: 'q',
    })
  }
  if (/\0|\p{Surrogate}/u.test(text)) {
    throw new ProblemError(400, 'QUERY_INVALID', 'q holds a NUL or half a character', { field: 'q' })
  }
  return trimmed
}

function readNumber(
  fields: ReadonlyMap<string, string>,
  name: 'limit' | 'offset',
  range: { byDefault: number; min: number; max: number },
): number {
  const text = fields.get(name)
  if (text === undefined) return range.byDefault
  const value = /^(0|[1-9]\d{0,5})$/.test(text) ? Number(text) : NaN
  if (value >= range.min && value <= range.max) return value
  throw new ProblemError(
    400,
    'FIELD_INVALID',
    `${name} is not a whole number from ${range.min} to ${range.max}`,
    { field: name },
  )
}
