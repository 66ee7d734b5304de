import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage, HomeportError } from '../../core/errors.ts'

/** What the demonstration reports of one answer. */
export interface Asked {
  source: 'postgres' | 'memory'
  hits: number
  tookMs: number
  top: {
    title: string
    speaker: string | null
    startMs: number | null
    link: string | null
    text: string
  } | null
}

interface SearchBody {
  source: 'postgres' | 'memory'
  tookMs: number
  hits: {
    title: string
    speaker: string | null
    momentMs: number | null
    link: string | null
    text: string
  }[]
}

const excerptLength = 160

/**
 * One question to a running api. @throws HomeportError SEARCH_REFUSED, exit 2, when it can never answer this
 * one; SEARCH_FAILED with the status of any other failure.
 */
export async function ask(apiUrl: string, query: string, signal?: AbortSignal): Promise<Asked> {
  const url = new URL('/search', apiUrl)
  url.searchParams.set('q', query)
  const reply = await fetch(url, signal === undefined ? {} : { signal })
  if (reply.status === 400 || reply.status === 414) {
    const problem = (await reply.json()) as { detail?: string }
    throw new HomeportError('SEARCH_REFUSED', problem.detail ?? 'the api refuses this question', {
      hint: 'npm start -- --query "another question"',
      exitCode: 2,
    })
  }
  if (!reply.ok) throw new HomeportError('SEARCH_FAILED', `GET /search answered ${reply.status}`)
  const body = (await reply.json()) as SearchBody
  const best = body.hits[0]
  return {
    source: body.source,
    hits: body.hits.length,
    tookMs: body.tookMs,
    top:
      best === undefined
        ? null
        : {
            title: best.title,
            speaker: best.speaker,
            startMs: best.momentMs,
            link: best.link,
            text: best.text.length > excerptLength ? `${best.text.slice(0, excerptLength)}…` : best.text,
          },
  }
}

/**
 * Asks again and again until the answer comes from where it should.
 * @throws HomeportError ANSWER_SOURCE after `timeoutMs`, with what came instead.
 */
export async function askUntil(options: {
  apiUrl: string
  query: string
  source: 'postgres' | 'memory'
  timeoutMs: number
  signal: AbortSignal
}): Promise<Asked> {
  const end = Date.now() + options.timeoutMs
  let last = 'no answer'
  let attempt = 0
  while (Date.now() < end) {
    options.signal.throwIfAborted()
    try {
      const asked = await ask(options.apiUrl, options.query, options.signal)
      if (asked.source === options.source) return asked
      last = `answers from ${asked.source}`
    } catch (error) {
      if (error instanceof HomeportError && error.code === 'SEARCH_REFUSED') throw error
      last = errorMessage(error)
    }
    // Soon at first; then within what the api allows one address a minute, else its refusal hides the reason.
    await sleep(attempt++ < 20 ? 100 : 500)
  }
  throw new HomeportError(
    'ANSWER_SOURCE',
    `no answer from ${options.source} within ${options.timeoutMs / 1000} s (${last})`,
  )
}

/** Waits until the api's health says that its in-memory index can answer. @throws HomeportError FALLBACK_NOT_READY. */
export async function waitForFallback(
  apiUrl: string,
  segments: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const end = Date.now() + timeoutMs
  let held = 0
  while (Date.now() < end) {
    signal.throwIfAborted()
    const reply = await fetch(new URL('/health', apiUrl), { signal })
    const health = (await reply.json()) as { fallback?: { ready: boolean; segments: number } }
    held = health.fallback?.segments ?? 0
    if (health.fallback?.ready === true && held >= segments) return
    await sleep(100)
  }
  throw new HomeportError(
    'FALLBACK_NOT_READY',
    `the in-memory index holds ${held} of ${segments} segments after ${timeoutMs / 1000} s`,
  )
}
