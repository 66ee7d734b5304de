import { open, statfs } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Queryable } from '../../core/db.ts'
import { errorCode } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'

export interface DiskSpace {
  /** for a user without privileges, as Postgres is */
  freeBytes: number
  totalBytes: number
}

export interface PrimaryDiskOptions {
  primary: Queryable
  /** where the server says that its data is; null when this role may not know */
  dataDirectory: string | null
  /** the server's end of the connection; null over a socket */
  serverAddress: string | null
  /** where the data is on this machine, by the operator's word, e.g. the volume of a container */
  givenFolder?: string
}

/**
 * The disk with the primary's log. SQL does not tell it, so it is known in two cases only: the operator names the
 * folder, or the server runs on this machine and the role may read `data_directory` (a superuser, or a member of
 * pg_read_all_settings). Else null: then only `max_slot_wal_keep_size` protects that disk.
 */
export async function readPrimaryDisk(options: PrimaryDiskOptions): Promise<DiskSpace | null> {
  if (options.givenFolder !== undefined) return readDiskSpace(options.givenFolder)
  const { dataDirectory, serverAddress, primary } = options
  if (dataDirectory === null || !isThisMachine(serverAddress)) return null
  if (!(await isDataOf(primary, dataDirectory))) return null
  // The log may lie on a disk of its own, behind a link that not everybody may follow.
  return (await readDiskSpace(join(dataDirectory, 'pg_wal'))) ?? readDiskSpace(dataDirectory)
}

const unseen = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']

async function readDiskSpace(folder: string): Promise<DiskSpace | null> {
  try {
    const { bsize, bavail, blocks } = await statfs(folder)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  } catch (error) {
    if (unseen.includes(errorCode(error) ?? '')) return null
    throw error
  }
}

/** A container's or another machine's address is none of ours, even when a port of ours leads there. */
function isThisMachine(address: string | null): boolean {
  if (address === null) return true
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  return own.some((one) => one.address === address)
}

/** The same path may hold another server's data; its control file begins with the system identifier. */
async function isDataOf(primary: Queryable, folder: string): Promise<boolean> {
  const bytes = Buffer.alloc(8)
  try {
    const file = await open(join(folder, 'global', 'pg_control'), 'r')
    try {
      await file.read(bytes, 0, 8, 0)
    } finally {
      await file.close()
    }
  } catch (error) {
    // Closed to us, as it should be: the address and the folder's being there must do.
    if (errorCode(error) === 'EACCES') return true
    if (unseen.includes(errorCode(error) ?? '')) return false
    throw error
  }
  const { rows } = await primary.query<{ systemIdentifier: string }>(loadSql('checks/system-identifier'))
  const here = [bytes.readBigUInt64LE(0), bytes.readBigUInt64BE(0)].map(String)
  return here.includes(rows[0]?.systemIdentifier ?? '')
}
