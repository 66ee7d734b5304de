import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyStore } from './key-store.ts'
import { hashSecret, parseKey, type Permission } from './keys.ts'
import { createTokens, type Tokens } from './tokens.ts'

export interface Caller {
  keyId: string
  client: string
  permissions: readonly Permission[]
  with: 'key' | 'token'
}

/** Why nobody was let in; for the log and the metrics. Outside it is one answer. */
export type Refusal = 'missing' | 'unknown' | 'revoked' | 'wrong secret' | 'token'

export interface Authenticator {
  /** Who shows these credentials; each header as often as it came. */
  identify: (headers: CredentialHeaders) => Promise<Caller | Refusal>
  /** null where no secret is set */
  tokens: Tokens | null
}

/** As node's `headersDistinct` has them. */
export interface CredentialHeaders {
  authorization?: string[] | undefined
  'x-api-key'?: string[] | undefined
}

const maxCredentialLength = 4_096

/**
 * Judges API keys (`Authorization: Bearer hp_…` or `X-API-Key: hp_…`) and tokens. Every refusal of a key
 * costs the same: a hash, a comparison in constant time, and a look whether there are new keys.
 */
export function createAuthenticator(options: {
  keys: KeyStore
  tokenSecret?: string | undefined
}): Authenticator {
  const { keys, tokenSecret } = options
  const tokens = tokenSecret === undefined ? null : createTokens(tokenSecret)
  const nobody = randomBytes(32)
  // Where there are no tokens one is refused no sooner than where there are.
  const verifier = tokens ?? createTokens(randomBytes(32).toString('hex'))
  return { tokens, identify }

  async function identify(headers: CredentialHeaders): Promise<Caller | Refusal> {
    const text = presented(headers)
    const judge = text !== null && !text.startsWith('hp_') ? () => byToken(text) : () => byKey(text)
    const verdict = await judge()
    if (typeof verdict !== 'string' || verdict === 'missing') return verdict
    // The key may be younger than what we know; and all refusals take the same time.
    await keys.refresh()
    return judge()
  }

  async function byKey(text: string | null): Promise<Caller | Refusal> {
    const key = parseKey(text ?? '')
    const record = key === null ? undefined : await keys.find(key.id)
    const isSame = timingSafeEqual(hashSecret(key?.secret ?? text ?? ''), record?.hash ?? nobody)
    if (text === null) return 'missing'
    if (record === undefined) return 'unknown'
    if (!isSame) return 'wrong secret'
    if (record.revokedAt !== null) return 'revoked'
    return { keyId: record.id, client: record.client, permissions: record.permissions, with: 'key' }
  }

  async function byToken(text: string): Promise<Caller | Refusal> {
    const claims = await verifier.verify(text)
    if (claims === null || tokens === null) return 'token'
    const record = await keys.find(claims.keyId)
    if (record === undefined || record.client !== claims.client) return 'unknown'
    if (record.revokedAt !== null) return 'revoked'
    // What the key has lost since then the token has lost as well.
    const granted = claims.permissions.filter((permission) => record.permissions.includes(permission))
    return { keyId: record.id, client: record.client, permissions: granted, with: 'token' }
  }
}

/** The one credential that was sent; null when there is none, more than one, or something that cannot be one. */
function presented(headers: CredentialHeaders): string | null {
  const bearers = headers.authorization ?? []
  const plain = headers['x-api-key'] ?? []
  if (bearers.length + plain.length !== 1) return null
  const text = plain[0] ?? /^Bearer +([^ ]+)$/i.exec(bearers[0] ?? '')?.[1] ?? ''
  return text !== '' && text.length <= maxCredentialLength && /^[\x21-\x7e]+$/.test(text) ? text : null
}
