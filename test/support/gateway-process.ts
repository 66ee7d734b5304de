import type { Test } from 'tap'
import { startOps, type OpsProcess, type OpsProcessOptions } from './ops-process.ts'
import { runOps, type RelayPair } from './relay-pair.ts'

export interface RunningGateway {
  process: OpsProcess
  url: string
}

/** Starts `ops gateway` on a free port for a pair's cloud, and waits until it listens. */
export async function startGateway(
  t: Pick<Test, 'teardown' | 'passing' | 'comment'>,
  pair: RelayPair,
  options: Partial<OpsProcessOptions> = {},
): Promise<RunningGateway> {
  const process = startOps(t, {
    ...options,
    args: ['gateway', '--json'],
    settings: {
      GATEWAY_DATABASE_URL: pair.settings['GATEWAY_DATABASE_URL'] ?? '',
      GATEWAY_PORT: '0',
      ...options.settings,
    },
  })
  const [, url = ''] = await process.answered(/"url":"([^"]+)"/)
  return { process, url }
}

/** What a relay needs to go through a gateway, and only through it. */
export async function gatewaySettings(pair: RelayPair, url: string): Promise<Record<string, string>> {
  const made = await runOps({
    args: ['keys', 'create', '--client', 'test', '--json'],
    settings: pair.settings,
  })
  const { key } = JSON.parse(made) as { key: string }
  return { RELAY_DATABASE_URL: '', PRODUCTION_API_URL: url, PRODUCTION_API_KEY: key }
}
