import { HomeportError } from '../core/errors.ts'

/** Who a URL logs in as, and where. */
export interface Credentials {
  role: string
  password: string
  database: string
  /** libpq's own words, the password last: host, port, dbname, user, sslmode ... */
  parameters: readonly (readonly [name: string, value: string])[]
}

/**
 * Takes a Postgres URL apart. `setting` names it in errors, which never repeat the URL.
 * @throws HomeportError CONFIG_INVALID, exit 2, when it lacks a role, a password or a database.
 */
export function parseCredentials(setting: string, url: string): Credentials {
  const parsed = new URL(url)
  const role = decodeURIComponent(parsed.username)
  const password = decodeURIComponent(parsed.password)
  const database = decodeURIComponent(parsed.pathname.slice(1))
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
  const host = given.get('host') ?? decodeURIComponent(parsed.hostname.replace(/^\[|\]$/g, ''))
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
      // A dead link is noticed in a minute, not after the kernel's two hours.
      ['connect_timeout', '10'],
      ['keepalives_idle', '30'],
      ['keepalives_interval', '10'],
      ['keepalives_count', '3'],
      ...given,
      ['password', password],
    ],
  }
}

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
