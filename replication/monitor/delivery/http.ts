import { errorCode, HomeportError } from '../../../core/errors.ts'
import { describeNotice, TryLater, type Way } from './notice.ts'

const timeoutMs = 10_000

/** Posts alerts as `{text, kind, alert}`: Slack's incoming webhooks, and what understands them, show the text. */
export function webhookWay(url: string): Way {
  return {
    name: 'webhook',
    async deliver(notice, signal) {
      const body = JSON.stringify({ text: escapeForSlack(describeNotice(notice)), ...notice })
      const headers = { 'content-type': 'application/json' }
      // A redirected POST would arrive as a GET, without what it says.
      await request(url, { method: 'POST', headers, body, redirect: 'manual' }, signal)
    },
  }
}

/** Tells a watch such as healthchecks.io that all is well; its silence is what raises the alarm there. */
export async function ping(url: string, signal?: AbortSignal): Promise<void> {
  await request(url, { method: 'GET' }, signal)
}

/** Pure: the three characters that mean something to Slack, see "Formatting text for app surfaces" there. */
export function escapeForSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** @throws HomeportError HTTP_FAILED; never with the address, which is a secret. */
async function request(url: string, init: RequestInit, signal: AbortSignal | undefined): Promise<void> {
  const limit = AbortSignal.timeout(timeoutMs)
  let status: number
  let retryAfter: string | null
  try {
    const reply = await fetch(url, {
      ...init,
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    })
    status = reply.status
    retryAfter = reply.headers.get('retry-after')
    await reply.body?.cancel()
  } catch (error) {
    signal?.throwIfAborted()
    throw new HomeportError('HTTP_FAILED', explain(error))
  }
  if (status >= 200 && status <= 299) return
  if (status >= 300 && status <= 399) {
    throw new HomeportError(
      'HTTP_FAILED',
      `it answers HTTP ${status}, and leads elsewhere: set where it leads to`,
    )
  }
  const message = `it answers HTTP ${status}`
  const waitMs = retryAfterMs(retryAfter, Date.now())
  throw waitMs === null ? new HomeportError('HTTP_FAILED', message) : new TryLater(message, waitMs)
}

/** Pure: the header Retry-After, in seconds or as a date (RFC 9110, 10.2.3); null where it says nothing. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null
  const atMs = /^\d+$/.test(header) ? nowMs + Number(header) * 1000 : Date.parse(header)
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}

/** The driver's own words may repeat the address. */
function explain(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  const cause = error instanceof Error ? error.cause : undefined
  const code = errorCode(cause) ?? errorCode(error)
  return code === undefined ? 'the request failed' : `the request failed: ${code}`
}
