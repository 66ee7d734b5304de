import { isIP } from 'node:net'
import { booleanSetting, choiceSetting, databaseUrl, integerSetting, setting } from '../core/config.ts'
import { embedderChoice, type EmbedderChoice } from '../core/embed/load.ts'
import { HomeportError } from '../core/errors.ts'

export interface ApiSettings {
  databaseUrl: string
  host: string
  /** 0: any free port. */
  port: number
  requestsPerMinute: number
  trustedProxies: readonly string[]
  allowWritableRole: boolean
  apiOnly: boolean
  ingestionEnabled: boolean
  snapshotPath: string
  refreshSeconds: number
  fallbackEngine: 'auto' | 'faiss' | 'scan'
  embedder: EmbedderChoice
  logLevel: string
}

/** Reads the api's settings. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function readApiSettings(): ApiSettings {
  const apiOnly = booleanSetting('API_ONLY_MODE', false)
  return {
    databaseUrl: databaseUrl('DATABASE_URL'),
    host: setting('HOST') ?? '127.0.0.1',
    port: integerSetting('PORT', { byDefault: 8080, min: 0, max: 65_535 }),
    requestsPerMinute: integerSetting('RATE_LIMIT_PER_MINUTE', { byDefault: 300, min: 1, max: 10_000_000 }),
    trustedProxies: trustedProxies(setting('TRUST_PROXY') ?? ''),
    allowWritableRole: booleanSetting('ALLOW_WRITABLE_ROLE', false),
    apiOnly,
    ingestionEnabled: !apiOnly && booleanSetting('ENABLE_INGESTION', true),
    snapshotPath: setting('SNAPSHOT_PATH') ?? 'data/snapshot',
    refreshSeconds: integerSetting('FALLBACK_REFRESH_SECONDS', { byDefault: 10, min: 1, max: 86_400 }),
    fallbackEngine: choiceSetting('FALLBACK_ENGINE', ['auto', 'faiss', 'scan']),
    embedder: embedderChoice(),
    logLevel: choiceSetting('LOG_LEVEL', ['info', 'trace', 'debug', 'warn', 'error', 'silent']),
  }
}

/** Words for ranges of addresses that the framework knows. */
const addressRanges = new Set(['loopback', 'linklocal', 'uniquelocal'])

function trustedProxies(text: string): string[] {
  const addresses = text
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
  const wrong = addresses.find((address) => !addressRanges.has(address) && !isAddress(address))
  if (wrong === undefined) return addresses
  throw new HomeportError('CONFIG_INVALID', `TRUST_PROXY holds ${wrong}, which is no address`, {
    hint: 'TRUST_PROXY=127.0.0.1,10.0.0.0/8: addresses or networks of the proxies in front of the api',
    exitCode: 2,
  })
}

function isAddress(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  // A network of everything would trust what anybody claims.
  return bits === undefined || (/^\d{1,3}$/.test(bits) && +bits >= 1 && +bits <= (version === 4 ? 32 : 128))
}
