import { chownSync, lstatSync, mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { UnixUser } from './unprivileged-user.ts'

export interface ServerSettings {
  port: number
  socketFolder: string
  /** Shown in the title of every process of this server. */
  title: string
  /** False for servers that only a test will miss: no fsync. */
  durable: boolean
  /** How much WAL a lagging slot may hold back; unlimited when absent. */
  slotWalLimitMb?: number
}

/**
 * The lines of a private server's configuration: reachable from this machine only, ready for logical
 * replication in either direction, and with room for many small subscriptions.
 */
export function renderSettings(settings: ServerSettings): string {
  const values: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port: settings.port,
    // The list is split at commas; double quotes keep spaces and commas in a path.
    unix_socket_directories: `"${settings.socketFolder.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    cluster_name: settings.title,
    max_connections: 200,
    shared_buffers: '128MB',
    wal_level: 'logical',
    max_wal_senders: 50,
    max_replication_slots: 50,
    max_logical_replication_workers: 50,
    max_worker_processes: 60,
    max_slot_wal_keep_size: settings.slotWalLimitMb === undefined ? -1 : `${settings.slotWalLimitMb}MB`,
    // A subscription tries again this soon after the other side came back.
    wal_retrieve_retry_interval: '500ms',
    wal_receiver_status_interval: '1s',
    password_encryption: 'scram-sha-256',
    lc_messages: 'C',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    jit: 'off',
    ...(settings.durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  }
  const lines = Object.entries(values).map(
    ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`,
  )
  return `# Written at every start; put your own settings into postgresql.conf below the include.\n${lines.join('\n')}\n`
}

// sockaddr_un holds 107 bytes on Linux and 103 on macOS, for the folder and /.s.PGSQL.PORT together.
const longestSocketFolder = 85

/**
 * A folder for the server's socket: below the cluster's own, or in the temporary folder when that path is
 * too long for a socket. Belongs to `user`, closed to everyone else.
 */
export function socketFolder(clusterFolder: string, title: string, user: UnixUser | undefined): string {
  const near = join(clusterFolder, 'socket')
  if (Buffer.byteLength(near) <= longestSocketFolder) return ownFolder(near, user)
  const short = ownFolder(join('/tmp', title), user)
  const owner = lstatSync(short)
  // Someone else may have made it first, or have put a link there.
  if (owner.isDirectory() && owner.uid === (user?.uid ?? process.getuid?.())) return short
  return ownFolder(mkdtempSync('/tmp/homeport-'), user)
}

function ownFolder(folder: string, user: UnixUser | undefined): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const entry = lstatSync(folder)
  if (user !== undefined && entry.isDirectory() && entry.uid === 0) chownSync(folder, user.uid, user.gid)
  return folder
}
