import type { AddressInfo } from 'node:net'
import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'
import { createLog, type Logger } from '../core/log.ts'
import { createApi, type Api } from './api.ts'
import { readApiSettings, type ApiSettings } from './settings.ts'

/** Past this a shutdown is cut short; supervisors usually allow 10 s. */
const shutdownLimitMs = 8_000

try {
  const settings = readApiSettings()
  const log = createLog({ name: 'api', level: settings.logLevel })
  await serve(settings, log)
} catch (error) {
  process.stderr.write(`Error: ${errorMessage(error)}\n`)
  if (error instanceof HomeportError && error.hint !== undefined) {
    process.stderr.write(`Try: ${error.hint}\n`)
  }
  process.exit(error instanceof HomeportError ? error.exitCode : 1)
}

async function serve(settings: ApiSettings, log: Logger): Promise<void> {
  const api = await createApi(settings, log)
  stopOnSignals(api, log)
  await api.start()
  const url = await listen(api, settings)
  log.info({ url }, 'listening')
  process.stdout.write(`${url}\n`)
  process.send?.({ type: 'listening', url })
}

async function listen({ app }: Api, settings: ApiSettings): Promise<string> {
  try {
    await app.listen({ host: settings.host, port: settings.port })
  } catch (error) {
    const reasons: Readonly<Record<string, readonly [string, string]>> = {
      EADDRINUSE: ['is taken by another program', 'stop that program, or choose another port: PORT=8081'],
      EACCES: ['may not be used by this user', 'choose a port above 1023: PORT=8080'],
      EADDRNOTAVAIL: ['is no address of this machine', 'HOST=127.0.0.1, or 0.0.0.0 for all addresses'],
      ENOTFOUND: ['is no address of this machine', 'HOST=127.0.0.1, or 0.0.0.0 for all addresses'],
    }
    const [what, hint] = reasons[errorCode(error) ?? ''] ?? ['cannot be listened on', 'check HOST and PORT']
    throw new HomeportError('LISTEN_FAILED', `${settings.host}:${settings.port} ${what}`, {
      hint,
      cause: error,
    })
  }
  const address = app.server.address() as AddressInfo
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}

function stopOnSignals(api: Api, log: Logger): void {
  let stopping = false
  const stop = (why: string) => {
    if (stopping) process.exit(1)
    stopping = true
    log.info({ why }, 'stopping')
    setTimeout(() => process.exit(1), shutdownLimitMs).unref()
    api.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'the shutdown failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  // Started by another process of ours: never outlive it.
  if (process.connected) process.once('disconnect', () => stop('the parent is gone'))
}
