/** Exit codes of every command: 0 fine, 1 failed, 2 usage or configuration, 3 a check found something. */
export type ExitCode = 0 | 1 | 2 | 3

export interface HomeportErrorOptions {
  /** What the person should run or change. Shown after "Try:". */
  hint?: string
  exitCode?: ExitCode
  cause?: unknown
}

/**
 * An error that a person can act on. `code` is stable (upper case, HOMEPORT-free, e.g.
 * `DATABASE_UNREACHABLE`); the message says what failed and never repeats the cause's message or a secret.
 */
export class HomeportError extends Error {
  readonly code: string
  readonly hint: string | undefined
  readonly exitCode: ExitCode

  constructor(code: string, message: string, options: HomeportErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'HomeportError'
    this.code = code
    this.hint = options.hint
    this.exitCode = options.exitCode ?? 1
  }
}

/** The SQLSTATE or system error code (`ECONNREFUSED`) of anything thrown, or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The message of anything thrown, with passwords in URLs masked. */
export function errorMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return maskSecrets(text)
}

/** Hides the password of every URL and `password=` pair in a text. */
export function maskSecrets(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]+):[^\s@]+@/gi, '$1:****@')
    .replace(/(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)/gi, '$1****')
}
