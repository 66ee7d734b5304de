import { databaseUrl } from '../../core/config.ts'
import type { ServerUrls } from '../../replication/servers.ts'

/** Where both servers are. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function serverUrls(): ServerUrls {
  return {
    primaryUrl: databaseUrl('LOCAL_DATABASE_URL'),
    cloudUrl: databaseUrl('PRODUCTION_DATABASE_URL'),
  }
}

/** The two roles that ops creates. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function roleUrls(): { readerUrl: string; replicationUrl: string } {
  return {
    readerUrl: databaseUrl('DATABASE_URL'),
    replicationUrl: databaseUrl('REPLICATION_DATABASE_URL'),
  }
}
