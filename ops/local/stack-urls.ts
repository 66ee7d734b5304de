import type { Cluster } from './cluster.ts'
import { loadCredentials } from './credentials.ts'

export interface StackUrls {
  /** the primary's owner */
  primary: string
  /** the cloud's owner */
  cloud: string
  /** the cloud's read-only role */
  reader: string
  /** the primary's replication role */
  replication: string
  /** the cloud's write roles of relay and gateway */
  relay: string
  gateway: string
}

/** How each role of the local stack reaches its server; the passwords are those of the data folder. */
export function stackUrls(stack: { folder: string; primary: Cluster; cloud: Cluster }): StackUrls {
  const { primary, cloud } = stack
  const { readerPassword, replicationPassword, relayPassword, gatewayPassword } = loadCredentials(
    stack.folder,
  )
  const role = (cluster: Cluster, name: string, password: string): string =>
    `postgres://${name}:${password}@${cluster.host}:${cluster.port}/homeport`
  return {
    primary: primary.superuserUrl('homeport'),
    cloud: cloud.superuserUrl('homeport'),
    reader: role(cloud, 'homeport_api', readerPassword),
    replication: role(primary, 'homeport_replication', replicationPassword),
    relay: role(cloud, 'homeport_relay', relayPassword),
    gateway: role(cloud, 'homeport_gateway', gatewayPassword),
  }
}
