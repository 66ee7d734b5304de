import { databaseUrl } from '../../core/config.ts'
import { proveReplicationUrl } from '../../replication/relay/setup/prove.ts'
import type { Server } from '../../replication/servers.ts'

/**
 * The primary as a role that may replicate: the owner where it may, since what REPLICATION_DATABASE_URL names may be
 * another way to the same server.
 * @throws HomeportError what proveReplicationUrl throws, and for a setting that is missing.
 */
export async function replicationUrlOf(primary: Server): Promise<string> {
  if (primary.facts.superuser || primary.facts.replication) return primary.url
  const replicationUrl = databaseUrl('REPLICATION_DATABASE_URL')
  await proveReplicationUrl(replicationUrl, primary)
  return replicationUrl
}
