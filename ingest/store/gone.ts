import { lstat } from 'node:fs/promises'
import { errorCode } from '../../core/errors.ts'

/** Whether nothing lies at a path any more. What cannot be looked at is not gone. */
export async function isGone(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return false
  } catch (error) {
    const code = errorCode(error)
    return code === 'ENOENT' || code === 'ENOTDIR'
  }
}
