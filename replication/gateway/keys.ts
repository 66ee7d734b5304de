import { createHash, randomBytes } from 'node:crypto'
import { HomeportError } from '../../core/errors.ts'

/** What a key may be good for. */
export const permissions = ['relay:read', 'relay:write'] as const
export type Permission = (typeof permissions)[number]

export interface ApiKey {
  id: string
  /** 32 random bytes as base64url */
  secret: string
}

/** A new key; the secret is kept nowhere. */
export function makeKey(): ApiKey & { text: string } {
  const id = randomBytes(6).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  return { id, secret, text: `hp_${id}_${secret}` }
}

/** The two halves of `hp_<id>_<secret>`; null for anything else. */
export function parseKey(text: string): ApiKey | null {
  const match = /^hp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/.exec(text)
  return match === null ? null : { id: match[1] ?? '', secret: match[2] ?? '' }
}

/** What is stored: 256 random bits need no salt and no slow hash. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest()
}

/** The words of `relay:read,relay:write`, once each. @throws HomeportError USAGE, exit 2. */
export function parsePermissions(text: string): Permission[] {
  const words = [...new Set(text.split(',').map((word) => word.trim()))].filter((word) => word !== '')
  const found = permissions.filter((permission) => words.includes(permission))
  if (found.length === words.length && found.length > 0) return found
  throw new HomeportError('USAGE', `${text === '' ? 'nothing' : text} is not a list of permissions`, {
    hint: `--permissions ${permissions.join(',')}`,
    exitCode: 2,
  })
}
