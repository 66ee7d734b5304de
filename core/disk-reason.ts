import { errorCode } from './errors.ts'

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'that disk is read-only',
  ENOSPC: 'that disk is full',
  EDQUOT: 'the quota of this user is used up',
  EEXIST: 'a part of that path is a file',
  ENOTDIR: 'a part of that path is a file',
  ENAMETOOLONG: 'that path is too long',
  ELOOP: 'that path leads in a circle',
}

/** Why a folder of ours cannot be written to, in words; undefined when it is about something else. */
export function diskReason(error: unknown): string | undefined {
  return reasons[errorCode(error) ?? '']
}
