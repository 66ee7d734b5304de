import { HomeportError } from '../core/errors.ts'

/** Who a URL logs in as, and where. */
export interface Credentials {
  role: string
  password: string
  database: string
  /** libpq's own words, the password last: host, port, dbname, user, sslmode ... */
  parameters: readonly (readonly [name: string, value: string])[]
}

/** A dead link is noticed in a minute, not after the kernel's two hours. */
const linkDefaults = [
  ['connect_timeout', '10'],
  ['keepalives_idle', '30'],
  ['keepalives_interval', '10'],
  ['keepalives_count', '3'],
] as const

/**
 * Takes a Postgres URL apart. `setting` names it in errors, which never repeat the URL.
 * @throws HomeportError CONFIG_INVALID, exit 2, when it lacks a role, a password or a database.
 */
export function parseCredentials(setting: string, url: string): Credentials {
  const parsed = new URL(url)
  const decode = (text: string): string => decodePart(setting, text)
  const role = decode(parsed.username)
  const password = decode(parsed.password)
  const database = decode(parsed.pathname.slice(1))
  const lacking = [
    ...(role === '' ? ['a role'] : []),
    ...(password === '' ? ['a password'] : []),
    ...(database === '' ? ['a database'] : []),
  ]
  if (lacking.length > 0) {
    throw new HomeportError('CONFIG_INVALID', `${setting} lacks ${lacking.join(' and ')}`, {
      hint: `${setting}=postgres://role:password@host:5432/database`,
      exitCode: 2,
    })
  }
  const given = new Map(parsed.searchParams)
  const host = given.get('host') ?? decode(parsed.hostname.replace(/^\[|\]$/g, ''))
  const port = given.get('port') ?? (parsed.port === '' ? '5432' : parsed.port)
  for (const name of ['host', 'port', 'user', 'password', 'dbname']) given.delete(name)
  return {
    role,
    password,
    database,
    parameters: [
      ['host', host],
      ['port', port],
      ['dbname', database],
      ['user', role],
      ...linkDefaults.filter(([name]) => !given.has(name)),
      ...given,
      ['password', password],
    ],
  }
}

function decodePart(setting: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    throw new HomeportError(
      'CONFIG_INVALID',
      `${setting} has a "%" that is not followed by two hexadecimal digits`,
      {
        hint: 'write a percent sign as %25, @ as %40, : as %3A, / as %2F, a space as %20',
        exitCode: 2,
        cause: error,
      },
    )
  }
}

/**
 * Refuses what the cloud server would refuse, or take without a word and fail on at every attempt.
 * @throws HomeportError CONFIG_INVALID, exit 2, without the value.
 */
export function checkParameters(setting: string, credentials: Credentials): void {
  for (const [name, value] of credentials.parameters) {
    if (!libpqParameters.has(name)) {
      throw new HomeportError(
        'CONFIG_INVALID',
        `${setting} has the option ${name}, which libpq does not know`,
        {
          hint:
            name === 'ssl' ? 'write sslmode=require' : 'leave it out: the cloud server connects with libpq',
          exitCode: 2,
        },
      )
    }
    if (name === 'sslmode' && !sslModes.includes(value)) {
      throw new HomeportError('CONFIG_INVALID', `${setting} has an sslmode that does not exist`, {
        hint: `one of ${sslModes.join(', ')}`,
        exitCode: 2,
      })
    }
  }
}

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

/** Of libpq's own list (PostgreSQL documentation, 34.1.2) what means something between two servers. */
const libpqParameters = new Set([
  ...['host', 'hostaddr', 'port', 'dbname', 'user', 'password', 'passfile', 'application_name', 'options'],
  ...['connect_timeout', 'keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count'],
  ...['tcp_user_timeout', 'target_session_attrs', 'load_balance_hosts', 'channel_binding', 'require_auth'],
  ...['sslmode', 'sslnegotiation', 'sslcompression', 'sslcert', 'sslkey', 'sslpassword', 'sslrootcert'],
  ...['sslcrl', 'sslcrldir', 'sslsni', 'ssl_min_protocol_version', 'ssl_max_protocol_version'],
  ...['gssencmode', 'krbsrvname', 'requirepeer', 'fallback_application_name'],
])

/** libpq's key='value' form; `shown` has no password in it. */
export function toConninfo(credentials: Credentials): { conninfo: string; shown: string } {
  const render = (mask: boolean): string =>
    credentials.parameters
      .map(([name, value]) => `${name}=${mask && name === 'password' ? '****' : quote(value)}`)
      .join(' ')
  return { conninfo: render(false), shown: render(true) }
}

function quote(value: string): string {
  return `'${value.replace(/[\\']/g, '\\$&')}'`
}
