import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'

interface Explanation {
  pattern: RegExp
  code: string
  message: string
  hint: string
}

/** What the cloud server reports when it cannot use REPLICATION_DATABASE_URL; first match wins. */
const explanations: readonly Explanation[] = [
  {
    pattern: /password authentication failed/i,
    code: 'REPLICATION_PASSWORD',
    message: 'the primary refused the password of REPLICATION_DATABASE_URL',
    hint: 'run ops setup-replication again, which sets it; if it goes on, another server answers at that address',
  },
  {
    pattern: /no pg_hba\.conf entry|pg_hba\.conf rejects connection/i,
    code: 'REPLICATION_NOT_ADMITTED',
    message: 'the primary does not admit the cloud server',
    hint: 'add to pg_hba.conf of the primary, above any line that rejects it: hostssl DATABASE ROLE CLOUD-ADDRESS/32 scram-sha-256, then: select pg_reload_conf()',
  },
  {
    pattern: /could not translate host name/i,
    code: 'REPLICATION_HOST_UNKNOWN',
    message: 'the cloud server does not know the host in REPLICATION_DATABASE_URL',
    hint: 'use an address that works from the cloud server, not one of your home network',
  },
  {
    pattern: /connection refused|could not connect to server/i,
    code: 'REPLICATION_REFUSED',
    message: 'from the cloud server, nothing listens at the address in REPLICATION_DATABASE_URL',
    hint: 'check its host and port, listen_addresses of the primary, and the port forwarding or VPN between them',
  },
  {
    pattern: /timeout expired|timed out|no route to host|network is unreachable/i,
    code: 'REPLICATION_NO_ROUTE',
    message: 'the cloud server cannot reach the address in REPLICATION_DATABASE_URL',
    hint: 'the cloud must be able to open a connection to your home: a VPN such as WireGuard, or a forwarded port',
  },
  {
    pattern: /invalid connection option|invalid \w+ value|invalid connection string/i,
    code: 'REPLICATION_PARAMETER',
    message: 'the cloud server does not understand an option of REPLICATION_DATABASE_URL',
    hint: 'after the "?" it may have the words of libpq, such as sslmode=require',
  },
  {
    pattern: /\bSSL\b|certificate/i,
    code: 'REPLICATION_TLS',
    message: 'the cloud server and the primary could not agree on TLS',
    hint: 'check sslmode in REPLICATION_DATABASE_URL and ssl on the primary',
  },
  {
    pattern: /database ".*" does not exist/i,
    code: 'REPLICATION_DATABASE_MISSING',
    message: 'the database in REPLICATION_DATABASE_URL does not exist there',
    hint: 'it must be the database of LOCAL_DATABASE_URL',
  },
  {
    pattern: /password is required|password_required/i,
    code: 'REPLICATION_PASSWORD_UNUSED',
    message:
      'the primary lets the replication role in without asking for its password, and the cloud insists on one',
    hint: 'use scram-sha-256 for that role in pg_hba.conf of the primary',
  },
  {
    pattern: /permission denied to create subscription|must be (a )?superuser to create subscriptions/i,
    code: 'CLOUD_NEEDS_SUPERUSER',
    message: 'the role of PRODUCTION_DATABASE_URL may not subscribe',
    hint: 'use a superuser there, or from Postgres 16 on: grant pg_create_subscription to it',
  },
]

/** Says in plain words, without the connection string, why the cloud could not subscribe. */
export function explainSubscriptionError(error: unknown): HomeportError {
  const text = errorMessage(error).trim()
  const found = explanations.find((one) => one.pattern.test(text))
  if (found !== undefined)
    return new HomeportError(found.code, found.message, { hint: found.hint, cause: error })
  const code = errorCode(error)
  return new HomeportError(
    'SUBSCRIPTION_FAILED',
    `the cloud could not subscribe${code === undefined ? '' : ` (${code})`}: ${text}`,
    {
      hint: 'the log of the cloud server says more',
      cause: error,
    },
  )
}
