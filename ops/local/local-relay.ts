import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { bareEnvironment, settingsOf } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'
import { startChild, type RunningChild } from './child-process.ts'
import { choosePort } from './ports.ts'

export interface LocalProcessOptions {
  /** The data folder: for logs, spool and state. */
  folder: string
  /** Where the records of running children lie. */
  runFolder: string
  signal: AbortSignal
  /** Told of the child as soon as there is one. */
  onChild: (child: RunningChild) => void
}

const gatewayReadyMs = 60_000

/** `ops relay` as at home: with the replication role on one side, and the cloud's write role or the gateway on the other. */
export async function startLocalRelay(
  options: LocalProcessOptions & {
    replicationUrl: string
    /** straight to the cloud's Postgres, or the gateway's address and key */
    cloud: { relayUrl: string } | { gatewayUrl: string; apiKey: string }
  },
): Promise<RunningChild> {
  const { cloud } = options
  const { child } = await startOps(options, 'relay', ['relay'], {
    REPLICATION_DATABASE_URL: options.replicationUrl,
    RELAY_STATE_PATH: join(options.folder, 'relay'),
    RELAY_PORT: '0',
    ...('relayUrl' in cloud
      ? { RELAY_DATABASE_URL: cloud.relayUrl }
      : { PRODUCTION_API_URL: cloud.gatewayUrl, PRODUCTION_API_KEY: cloud.apiKey }),
  })
  return child
}

/** `ops gateway` as in the cloud; returns its address when it listens. @throws HomeportError GATEWAY_START. */
export async function startLocalGateway(
  options: LocalProcessOptions & { gatewayUrl: string },
): Promise<{ url: string; child: RunningChild }> {
  const port = await choosePort(undefined, '127.0.0.1')
  const { child, log } = await startOps(options, 'gateway', ['gateway'], {
    GATEWAY_DATABASE_URL: options.gatewayUrl,
    GATEWAY_PORT: String(port),
  })
  const url = `http://127.0.0.1:${port}`
  const end = Date.now() + gatewayReadyMs
  while (Date.now() < end && !child.ended) {
    options.signal.throwIfAborted()
    const answer = await fetch(`${url}/live`, { signal: options.signal }).catch(() => undefined)
    if (answer?.ok === true) return { url, child }
    await sleep(50)
  }
  throw new HomeportError('GATEWAY_START', `the gateway did not start:\n${log.join('\n')}`)
}

async function startOps(
  options: LocalProcessOptions,
  name: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ child: RunningChild; log: readonly string[] }> {
  const file = createWriteStream(join(options.folder, `${name}.log`), { flags: 'w', mode: 0o600 })
  const log: string[] = []
  const keep = (line: string): void => {
    file.write(`${line}\n`)
    log.push(line)
    if (log.length > 20) log.shift()
  }
  const child = await startChild({
    name,
    script: fileURLToPath(new URL('../cli.ts', import.meta.url)),
    args,
    runFolder: options.runFolder,
    environment: bareEnvironment({ LOG_LEVEL: 'info', ...settingsOf(['LOG_LEVEL']), ...environment }),
    onStdoutLine: keep,
    onStderrLine: keep,
  })
  options.onChild(child)
  void child.exited.then(() => file.end())
  return { child, log }
}
