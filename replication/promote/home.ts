import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import { openServer, type Server } from '../servers.ts'

/** The home machine's database as this machine finds it. */
export type Home = { kind: 'alive'; server: Server } | { kind: 'gone'; reason: string }

const silence = /^(?:ECONNREFUSED|ECONNRESET|ENOENT|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOST\w+|ENET\w+)$/

/**
 * Asks whether home lives. A home that answers and does not let us in lives: to call it gone would leave it writing.
 *
 * @param url LOCAL_DATABASE_URL; undefined where it is not set, which counts as gone
 * @throws HomeportError HOME_UNCERTAIN, exit 2.
 */
export async function openHome(url: string | undefined): Promise<Home> {
  if (url === undefined) return { kind: 'gone', reason: 'LOCAL_DATABASE_URL is not set' }
  try {
    return { kind: 'alive', server: await openServer('primary', url) }
  } catch (error) {
    if (isSilence(error instanceof HomeportError ? error.cause : error)) {
      return { kind: 'gone', reason: errorMessage(error) }
    }
    throw new HomeportError(
      'HOME_UNCERTAIN',
      `home answers, and cannot be used from here: ${errorMessage(error)}`,
      {
        hint: 'put a URL of its owner into LOCAL_DATABASE_URL, so that it can be fenced and compared; or stop that server for good',
        exitCode: 2,
        cause: error,
      },
    )
  }
}

/** Whether an error of a connection says that nobody is there; anything else is an answer. */
export function isSilence(error: unknown): boolean {
  const code = errorCode(error)
  return code === undefined ? /timeout|terminated/i.test(errorMessage(error)) : silence.test(code)
}
