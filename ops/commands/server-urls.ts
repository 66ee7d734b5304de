import { databaseUrl, requiredSetting, setting, type SettingName } from '../../core/config.ts'
import type { SeedWay } from '../../replication/relay/setup/seed-access.ts'
import type { ServerUrls } from '../../replication/servers.ts'

/** Where both servers are. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function serverUrls(): ServerUrls {
  return {
    primaryUrl: databaseUrl('LOCAL_DATABASE_URL'),
    cloudUrl: databaseUrl('PRODUCTION_DATABASE_URL'),
  }
}

/** The two roles that ops always creates. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function roleUrls(): { readerUrl: string; replicationUrl: string } {
  return {
    readerUrl: databaseUrl('DATABASE_URL'),
    replicationUrl: databaseUrl('REPLICATION_DATABASE_URL'),
  }
}

/** The roles of the relay and the gateway, as far as they are set. @throws HomeportError CONFIG_INVALID, exit 2. */
export function writeRoleUrls(): { relayUrl?: string; gatewayUrl?: string } {
  const relayUrl = optionalUrl('RELAY_DATABASE_URL')
  const gatewayUrl = optionalUrl('GATEWAY_DATABASE_URL')
  return {
    ...(relayUrl === undefined ? {} : { relayUrl }),
    ...(gatewayUrl === undefined ? {} : { gatewayUrl }),
  }
}

function optionalUrl(name: SettingName): string | undefined {
  return setting(name) === undefined ? undefined : databaseUrl(name)
}

export const seedWays = ['direct', 'gateway'] as const

/** How an initial copy reaches the cloud. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function seedWay(via: (typeof seedWays)[number]): SeedWay {
  if (via === 'direct') return { kind: 'direct', relayUrl: databaseUrl('RELAY_DATABASE_URL') }
  return {
    kind: 'gateway',
    url: requiredSetting('PRODUCTION_API_URL'),
    apiKey: requiredSetting('PRODUCTION_API_KEY'),
  }
}
