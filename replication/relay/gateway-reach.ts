import { errorCode, HomeportError } from '../../core/errors.ts'

/**
 * PRODUCTION_API_URL, if a key may travel there: https, or http on this machine.
 * @throws HomeportError CONFIG_INVALID, exit 2.
 */
export function checkGatewayUrl(url: string, allowPlain: boolean): URL {
  const invalid = (why: string): HomeportError =>
    new HomeportError('CONFIG_INVALID', `PRODUCTION_API_URL ${why}`, {
      hint: 'PRODUCTION_API_URL=https://gateway.example',
      exitCode: 2,
    })
  if (!URL.canParse(url)) throw invalid('is not a URL')
  const parsed = new URL(url)
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') throw invalid('is not an https URL')
  if (parsed.username !== '' || parsed.password !== '')
    throw invalid('holds a password: the key goes elsewhere')
  const isLoopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(parsed.hostname)
  if (parsed.protocol === 'http:' && !isLoopback && !allowPlain) {
    throw invalid('is plain http: key and content would be readable on the way')
  }
  return parsed
}

/** An error like the system's own for a limit of ours. */
export function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' })
}

/** GATEWAY_UNREACHABLE for what a socket or TLS failed with, in plain words. */
export function explainUnreachable(where: string, error: unknown): HomeportError {
  const code = errorCode(error)
  const found = (code === undefined ? undefined : reasons[code]) ?? certificateReason(code)
  return new HomeportError('GATEWAY_UNREACHABLE', `${where}: ${found?.[0] ?? 'the connection broke'}`, {
    hint: found?.[1] ?? 'check PRODUCTION_API_URL, and that ops gateway runs there',
    cause: error,
  })
}

const reasons: Readonly<Record<string, readonly [string, string]>> = {
  ECONNREFUSED: ['nothing listens there', 'start ops gateway there, or correct PRODUCTION_API_URL'],
  ENOTFOUND: ['the host name is unknown', 'correct the host in PRODUCTION_API_URL'],
  EAI_AGAIN: ['the host name could not be looked up', 'check the network of this machine'],
  ETIMEDOUT: ['no answer in time', 'check the network, and that ops gateway runs there'],
}

function certificateReason(code: string | undefined): readonly [string, string] | undefined {
  if (code === undefined || !/^(?:CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code))
    return undefined
  const hint = 'renew the certificate there, or trust its authority with NODE_EXTRA_CA_CERTS'
  return [`its certificate is not trusted (${code})`, hint]
}
