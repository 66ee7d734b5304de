import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { diskReason } from '../../core/disk-reason.ts'
import { HomeportError } from '../../core/errors.ts'
import { canEnter, unprivilegedUser, type UnixUser } from './unprivileged-user.ts'

export interface DataFolder {
  /** Where the data really lies; print this one. */
  folder: string
  /** What was asked for, as an absolute path. */
  wanted: string
  /** True when the user that runs Postgres cannot reach `wanted`, so that `folder` is elsewhere. */
  moved: boolean
}

export interface DataFolderOptions {
  /** Who runs Postgres; undefined means ourselves. Asked of the machine by default. */
  user?: UnixUser | undefined
  /** Holds the folders that had to move. */
  elsewhere?: string
}

const signpost = 'WHERE-THE-DATA-IS.txt'
const ownerFile = 'belongs-to.txt'

/**
 * Creates the folder for private clusters and returns where it really is. Run as root, Postgres runs as
 * an unprivileged user, who cannot enter a clone below /root or any other 0700 folder; then the data goes
 * to /var/lib/homeport/HASH, where HASH is that of the wanted path, and the wanted place points there.
 *
 * @throws HomeportError DATA_FOLDER_DENIED, exit 2, when the folder is another user's, on a disk that is
 *   read-only or full, or no folder.
 */
export function resolveDataFolder(wantedPath: string, options: DataFolderOptions = {}): DataFolder {
  const wanted = resolve(wantedPath)
  try {
    return makeDataFolder(wanted, options)
  } catch (cause) {
    const reason = diskReason(cause)
    if (reason === undefined) throw cause
    throw new HomeportError('DATA_FOLDER_DENIED', `the data cannot lie in ${wanted}: ${reason}`, {
      hint: 'use another folder: npm start -- --data DIR',
      exitCode: 2,
      cause,
    })
  }
}

function makeDataFolder(wanted: string, options: DataFolderOptions): DataFolder {
  const user = 'user' in options ? options.user : unprivilegedUser()
  const elsewhere = options.elsewhere ?? '/var/lib/homeport'
  mkdirSync(dirname(wanted), { recursive: true })
  // The same folder through another path must not become a second one.
  const name = join(realpathSync(dirname(wanted)), basename(wanted))
  const other = join(elsewhere, shortHash(name))
  if (!belongsTo(other, name)) {
    dropForeignLink(wanted, elsewhere)
    if (!existsSync(wanted)) {
      mkdirSync(wanted, { mode: 0o700 })
      if (user !== undefined) chownSync(wanted, user.uid, user.gid)
    }
    // A file is refused too.
    readdirSync(wanted)
    accessSync(wanted, constants.R_OK | constants.W_OK | constants.X_OK)
    if (user === undefined || canEnter(wanted, user))
      return { folder: realpathSync(wanted), wanted, moved: false }
    makeElsewhere(elsewhere, other, user)
    writeFileSync(join(other, ownerFile), `${name}\n`)
  }
  leaveSignpost(wanted, other)
  return { folder: realpathSync(other), wanted, moved: true }
}

/** Twelve hex digits that stand for a path. */
export function shortHash(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12)
}

function belongsTo(folder: string, name: string): boolean {
  const file = join(folder, ownerFile)
  return existsSync(file) && readFileSync(file, 'utf8').trim() === name
}

function makeElsewhere(elsewhere: string, folder: string, user: UnixUser): void {
  mkdirSync(elsewhere, { recursive: true })
  // Whatever the umask says: the user has to pass through.
  chmodSync(elsewhere, 0o755)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chownSync(folder, user.uid, user.gid)
}

// A copied clone brings a link to the data of the first one along.
function dropForeignLink(wanted: string, elsewhere: string): void {
  const entry = lstatSync(wanted, { throwIfNoEntry: false })
  if (entry?.isSymbolicLink() !== true) return
  if (dirname(resolve(dirname(wanted), readlinkSync(wanted))) === resolve(elsewhere)) unlinkSync(wanted)
}

function leaveSignpost(wanted: string, folder: string): void {
  const entry = lstatSync(wanted, { throwIfNoEntry: false })
  if (entry?.isSymbolicLink() === true) return
  if (entry !== undefined && readdirSync(wanted).length > 0) {
    const text = `The data is in ${folder}, where the user that runs Postgres can reach it.\n`
    writeFileSync(join(wanted, signpost), text)
    return
  }
  if (entry !== undefined) rmdirSync(wanted)
  symlinkSync(folder, wanted)
}
