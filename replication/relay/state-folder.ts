import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { diskReason } from '../../core/disk-reason.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { tryFileLock } from '../../core/file-lock.ts'

export interface StateFolder {
  /** as an absolute path */
  path: string
  /** who this relay is for the cloud's lease, the same at every start */
  holder: string
  /** batches that are acknowledged and wait for the cloud: never delete it by hand */
  spoolFolder: string
  /** transactions that are not whole yet; worth nothing after a restart */
  spillFolder: string
  /** Lets the next relay have it. */
  close(): void
}

/**
 * Makes the folder in which a relay keeps what it must not forget, closed to everyone else, and takes it
 * for this process until it ends or closes it. Serves the processes of one machine; relays on two that
 * share a folder are told apart by the lease in the cloud and by the slot.
 *
 * @throws HomeportError STATE_FOLDER_HELD, naming the process that has it; STATE_FOLDER_DENIED, exit 2.
 */
export async function openStateFolder(wanted: string): Promise<StateFolder> {
  const path = resolve(wanted)
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chmod(path, 0o700)
    const lock = tryFileLock(join(path, 'relay.lock'))
    if ('heldBy' in lock) throw folderHeld(path, lock.heldBy)
    try {
      return {
        path,
        holder: await readHolder(join(path, 'holder')),
        spoolFolder: spoolFolderOf(path),
        spillFolder: join(path, 'spill'),
        close: () => lock.release(),
      }
    } catch (error) {
      lock.release()
      throw error
    }
  } catch (error) {
    throw explain(error, path)
  }
}

/** Where the spool of a state folder is, for commands that run while no relay does. */
export function spoolFolderOf(statePath: string): string {
  return join(resolve(statePath), 'spool')
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A holder that was lost only means waiting until the lease of the old one is over. */
async function readHolder(file: string): Promise<string> {
  const known = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  })
  if (uuid.test(known.trim())) return known.trim()
  const holder = randomUUID()
  const aside = `${file}.writing`
  await writeFile(aside, `${holder}\n`, { mode: 0o600, flush: true })
  await rename(aside, file)
  return holder
}

function folderHeld(path: string, pid: number | undefined): HomeportError {
  const who = pid === undefined ? 'a process that is just starting' : `process ${pid}`
  return new HomeportError('STATE_FOLDER_HELD', `another relay works with ${path}: ${who}`, {
    hint:
      pid === undefined
        ? 'run it again in a few seconds'
        : `stop that one first (kill ${pid}), or give this one another folder: RELAY_STATE_PATH`,
  })
}

function explain(error: unknown, path: string): unknown {
  const reason = diskReason(error)
  if (reason === undefined) return error
  return new HomeportError('STATE_FOLDER_DENIED', `the relay cannot keep its state in ${path}: ${reason}`, {
    hint: 'name another folder: RELAY_STATE_PATH',
    exitCode: 2,
    cause: error,
  })
}
