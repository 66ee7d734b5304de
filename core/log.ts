import { pino, type Logger } from 'pino'
import { maskSecrets } from './errors.ts'

export type { Logger }

export interface LogOptions {
  name: string
  level: string
}

/**
 * A structured logger on stderr (stdout belongs to results). Connection strings are masked in every
 * message and error; transcripts and row values are never handed to it.
 */
export function createLog(options: LogOptions): Logger {
  const destination = pino.destination({ dest: 2, sync: true })
  // A disk that is full under the log, or a reader that is gone, takes the lines with it, never the program.
  destination.on('error', () => undefined)
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name },
      redact: { paths: ['*.password', '*.connectionString', 'req.headers.authorization'], censor: '****' },
      serializers: { err: serializeError },
      hooks: {
        logMethod(args, method) {
          const masked = args.map((part) => (typeof part === 'string' ? maskSecrets(part) : part))
          method.apply(this, masked as Parameters<typeof method>)
        },
      },
    },
    destination,
  )
}

function serializeError(error: Error & { code?: unknown }): Record<string, unknown> {
  return {
    type: error.name,
    code: error.code,
    message: maskSecrets(error.message),
    ...(error.cause instanceof Error ? { cause: serializeError(error.cause) } : {}),
  }
}
