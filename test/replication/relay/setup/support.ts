import type { Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../../../core/db.ts'
import { createLog } from '../../../../core/log.ts'
import {
  setupRelay,
  type RelaySetupOptions,
  type RelaySetupReport,
} from '../../../../replication/relay/setup/setup-relay.ts'
import { testClusters } from '../../../support/clusters.ts'
import { createDatabasePair, uniqueName } from '../../../support/databases.ts'
import { dropRole } from '../../../support/roles.ts'
import { withRole } from '../../support.ts'

/** Not one of the roles exists yet. */
export interface RelayUrls {
  primaryUrl: string
  cloudUrl: string
  readerUrl: string
  replicationUrl: string
  relayUrl: string
  gatewayUrl: string
}

export const log = createLog({ name: 'test', level: 'silent' })

/** Two migrated databases as superuser, and URLs with the names of four roles; the roles are dropped after the test. */
export async function createRelayUrls(
  t: Test,
  options: { password?: string; databases?: () => Promise<{ primaryUrl: string; cloudUrl: string }> } = {},
): Promise<RelayUrls> {
  const { password = `it's a "pass": %/?#` } = options
  const names = {
    replicator: uniqueName('replicator'),
    reader: uniqueName('reader'),
    relay: uniqueName('relay'),
    gateway: uniqueName('gateway'),
  }
  const clusters = await testClusters()
  // The databases go first, and with them what the roles have there.
  t.teardown(async () => {
    await dropRole(clusters.primary.superuserUrl(), names.replicator)
    for (const role of [names.reader, names.relay, names.gateway]) {
      await dropRole(clusters.cloud.superuserUrl(), role)
    }
  })
  const { primaryUrl, cloudUrl } = await (options.databases ?? (() => createDatabasePair(t)))()
  return {
    primaryUrl,
    cloudUrl,
    replicationUrl: withRole(primaryUrl, names.replicator, password),
    readerUrl: withRole(cloudUrl, names.reader, password),
    relayUrl: withRole(cloudUrl, names.relay, password),
    gatewayUrl: withRole(cloudUrl, names.gateway, password),
  }
}

/** What a test asks of a setup that is not about how it is asked. */
export function setupOptions(urls: RelayUrls): RelaySetupOptions {
  return { ...urls, way: { kind: 'direct', relayUrl: urls.relayUrl }, log }
}

export interface RelaySetup extends RelayUrls {
  /** by themselves, to hand to another process */
  urls: RelayUrls
  primary: pg.Pool
  cloud: pg.Pool
  /** runs a setup again */
  setUp: (options?: Partial<RelaySetupOptions>) => Promise<RelaySetupReport>
}

/** The URLs, pools as superuser, and a setup that was not run yet. */
export async function createRelaySetup(
  t: Test,
  options: Parameters<typeof createRelayUrls>[1] = {},
): Promise<RelaySetup> {
  const urls = await createRelayUrls(t, options)
  const open = (connectionString: string): pg.Pool => {
    const pool = createPool({ connectionString, applicationName: 'homeport test' })
    t.teardown(() => pool.end())
    return pool
  }
  return {
    ...urls,
    urls,
    primary: open(urls.primaryUrl),
    cloud: open(urls.cloudUrl),
    setUp: (more = {}) => setupRelay({ ...setupOptions(urls), ...more }),
  }
}

/** The settings of `ops` for these URLs. */
export function opsSettings(urls: RelayUrls): Record<string, string> {
  return {
    LOCAL_DATABASE_URL: urls.primaryUrl,
    PRODUCTION_DATABASE_URL: urls.cloudUrl,
    DATABASE_URL: urls.readerUrl,
    REPLICATION_DATABASE_URL: urls.replicationUrl,
    RELAY_DATABASE_URL: urls.relayUrl,
    GATEWAY_DATABASE_URL: urls.gatewayUrl,
  }
}
