import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

// Postgres's own default (scram_iterations); more would slow every login of the small cloud server.
const defaultIterations = 4096

export interface ScramOptions {
  /** 16 random bytes unless given */
  salt?: Buffer
  iterations?: number
}

/**
 * The SCRAM-SHA-256 verifier Postgres stores for a password (RFC 5802 and 7677, in the text form of
 * pg_authid.rolpassword), so that the password itself never travels to the server or into its log.
 */
export function scramVerifier(password: string, options: ScramOptions = {}): string {
  const salt = options.salt ?? randomBytes(16)
  const iterations = options.iterations ?? defaultIterations
  const salted = pbkdf2Sync(prepare(password), salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

/** Whether a stored verifier belongs to this password; false for md5 hashes and anything else. */
export function scramMatches(verifier: string, password: string): boolean {
  const match = /^SCRAM-SHA-256\$(\d+):([^$]+)\$[^:]+:.+$/.exec(verifier)
  if (match === null) return false
  const salt = Buffer.from(match[2] ?? '', 'base64')
  const expected = Buffer.from(scramVerifier(password, { salt, iterations: Number(match[1]) }))
  const stored = Buffer.from(verifier)
  return expected.length === stored.length && timingSafeEqual(expected, stored)
}

/** The part of SASLprep (RFC 4013) that changes what people type: odd spaces become spaces, then NFKC. */
function prepare(password: string): string {
  return password.replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ').normalize('NFKC')
}
