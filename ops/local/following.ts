import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { createKey } from '../../replication/gateway/manage-keys.ts'
import type { RunningChild } from './child-process.ts'
import { startLocalGateway, startLocalRelay, type LocalProcessOptions } from './local-relay.ts'
import { signalProcess } from './processes.ts'

/** How the cloud follows the primary: by its subscription, by our relay, or by the relay through the gateway. */
export const replicationModes = ['native', 'relay', 'gateway'] as const
export type ReplicationMode = (typeof replicationModes)[number]

export interface FollowingUrls {
  /** the cloud's owner */
  cloud: string
  replication: string
  relay: string
  gateway: string
}

/** The processes that push: none for a subscription, the relay, or relay and gateway. */
export class Following {
  readonly #children: RunningChild[] = []
  readonly #options: Omit<LocalProcessOptions, 'onChild'> & { mode: ReplicationMode }

  constructor(options: Omit<LocalProcessOptions, 'onChild'> & { mode: ReplicationMode }) {
    this.#options = options
  }

  async start(urls: FollowingUrls): Promise<void> {
    const { mode } = this.#options
    if (mode === 'native' || this.#children.length > 0) return
    const options = { ...this.#options, onChild: (child: RunningChild) => void this.#children.unshift(child) }
    const { replication: replicationUrl } = urls
    if (mode === 'relay') {
      await startLocalRelay({ ...options, replicationUrl, cloud: { relayUrl: urls.relay } })
      return
    }
    const { url: gatewayUrl } = await startLocalGateway({ ...options, gatewayUrl: urls.gateway })
    const apiKey = await this.#apiKey(urls.cloud)
    await startLocalRelay({ ...options, replicationUrl, cloud: { gatewayUrl, apiKey } })
  }

  /** Rejects when one of them ends by itself; pending for ever where there are none. */
  async ended(): Promise<never> {
    const { signal, folder } = this.#options
    const first = await Promise.race([
      new Promise<never>(() => undefined),
      ...this.#children.map((child) => child.exited.then((exit) => ({ child, exit }))),
    ])
    signal.throwIfAborted()
    const { child, exit } = first
    throw new HomeportError(
      'RELAY_ENDED',
      `the ${child.name} ended by itself (${exit.signal ?? exit.code}): ${lastWords(folder, child.name)}`,
      { hint: `${join(folder, `${child.name}.log`)} says more` },
    )
  }

  /** The relay first, so that the gateway has nothing under way. */
  async stop(): Promise<void> {
    for (const child of this.#children) await child.stop(12_000)
    this.#children.length = 0
  }

  abandon(): void {
    for (const child of this.#children) if (!child.ended) signalProcess(child.pid, 'SIGKILL')
  }

  /** Made once: the cloud has only its hash. */
  async #apiKey(cloudUrl: string): Promise<string> {
    const file = join(this.#options.folder, 'gateway-key')
    if (existsSync(file)) return readFileSync(file, 'utf8').trim()
    const cloud = await connect({ connectionString: cloudUrl, applicationName: 'homeport start' })
    try {
      const { key } = await createKey(cloud, {
        client: 'npm start',
        permissions: ['relay:read', 'relay:write'],
      })
      writeFileSync(`${file}.new`, `${key}\n`, { mode: 0o600 })
      renameSync(`${file}.new`, file)
      return key
    } finally {
      await cloud.end()
    }
  }
}

function lastWords(folder: string, name: string): string {
  const lines = readFileSync(join(folder, `${name}.log`), 'utf8')
    .trim()
    .split('\n')
  return lines.findLast((line) => line.startsWith('Error:')) ?? lines.at(-1) ?? 'it said nothing'
}
