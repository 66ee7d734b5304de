import { jwtVerify, SignJWT } from 'jose'
import { permissions, type Permission } from './keys.ts'

/** What a token says of whoever shows it. */
export interface TokenClaims {
  /** of the key it was made for: it dies with it */
  keyId: string
  client: string
  permissions: readonly Permission[]
}

export interface Tokens {
  sign(claims: TokenClaims): Promise<string>
  /** The claims of a token of ours that has not expired; null for anything else. */
  verify(text: string): Promise<TokenClaims | null>
}

export const tokenSeconds = 24 * 60 * 60

const algorithm = 'HS256'
const audience = 'homeport-gateway'

/**
 * Short-lived tokens (JWT, HS256 and nothing else) for clients that should not carry a key around.
 * `now` is the clock that an expiry is judged by.
 */
export function createTokens(secret: string, now: () => Date = () => new Date()): Tokens {
  const key = new TextEncoder().encode(secret)
  return {
    async sign(claims) {
      const issuedAt = Math.floor(now().getTime() / 1000)
      return new SignJWT({ client: claims.client, permissions: [...claims.permissions] })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setSubject(claims.keyId)
        .setIssuer(audience)
        .setAudience(audience)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + tokenSeconds)
        .sign(key)
    },
    async verify(text) {
      try {
        const { payload } = await jwtVerify<{ client: unknown; permissions: unknown }>(text, key, {
          algorithms: [algorithm],
          audience,
          issuer: audience,
          requiredClaims: ['sub', 'iat', 'exp', 'client', 'permissions'],
          maxTokenAge: tokenSeconds,
          currentDate: now(),
        })
        const { sub, client, permissions: granted } = payload
        if (sub === undefined || typeof client !== 'string' || !Array.isArray(granted)) return null
        return { keyId: sub, client, permissions: permissions.filter((one) => granted.includes(one)) }
      } catch {
        // Whatever is wrong with it, it is not ours or not valid any more.
        return null
      }
    },
  }
}
