import { sleep } from '../../core/backoff.ts'
import { connect } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { isSilence } from './home.ts'

export interface PulseOptions {
  /** of home */
  url: string
  /** how long home may not answer at all */
  silenceMs: number
  signal?: AbortSignal
  /** the error to end with */
  explain: () => Promise<HomeportError>
}

/**
 * Runs `work` for as long as home answers. A machine that froze or whose cable was cut keeps its sessions: a question
 * to it would wait for hours, with home fenced. `work` gets a signal, and goes no further than where it is: it hangs
 * with home, and nobody waits for it.
 *
 * @throws what `explain` returns, when home has not answered for `silenceMs`; what `work` throws.
 */
export async function whileHomeAnswers<T>(
  options: PulseOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const given = options.signal === undefined ? [] : [options.signal]
  const isSilent = new AbortController()
  const isOver = new AbortController()
  const done = work(AbortSignal.any([...given, isSilent.signal]))
  const watch = waitForSilence(options, isOver.signal).then(async () => {
    // Before anything is asked: from here on nothing more is changed.
    isSilent.abort(new HomeportError('HOME_SILENT', 'home does not answer any more'))
    throw await options.explain()
  })
  // Whichever comes second is told to nobody.
  for (const one of [done, watch]) one.catch(() => undefined)
  try {
    return await Promise.race([done, watch])
  } finally {
    isOver.abort()
  }
}

/** Until home has not answered for so long; never, once the signal says that nobody wants to know. */
async function waitForSilence({ url, silenceMs }: PulseOptions, isOver: AbortSignal): Promise<void> {
  const everyMs = Math.min(5_000, silenceMs / 4)
  let heardAt = performance.now()
  while (performance.now() - heardAt < silenceMs) {
    await sleep(everyMs, isOver)
    if (await answers(url, everyMs)) heardAt = performance.now()
  }
}

/** With a session of its own: those that are there may wait for a lock or for a long comparison. */
async function answers(url: string, connectTimeoutMs: number): Promise<boolean> {
  try {
    const session = await connect({
      connectionString: url,
      applicationName: 'homeport ops',
      connectTimeoutMs,
    })
    // Its end may be what is not answered any more.
    void session.end().catch(() => undefined)
    return true
  } catch (error) {
    return !isSilence(error instanceof HomeportError ? error.cause : error)
  }
}
