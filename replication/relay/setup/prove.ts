import type pg from 'pg'
import { connect } from '../../../core/db.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'
import { loadSql } from '../../../core/sql.ts'
import type { Finding } from '../../finding.ts'
import { isSameServer, readServerFacts, type ServerFacts } from '../../server-facts.ts'
import type { Server } from '../../servers.ts'
import { identifySystem, openReplicationSession, type SystemIdentity } from '../replication-session.ts'
import type { WriteRole } from './write-roles.ts'

/** Whoever refuses a password that was set just now, or lacks the database, is another server. */
const refusals = new Set(['28P01', '3D000'])
/** What pg_hba.conf does not let in. */
const notAdmitted = '28000'

function causeCode(error: unknown): string {
  return errorCode(error instanceof HomeportError ? error.cause : error) ?? ''
}

/**
 * Opens a replication session as the relay will, and asks who is there.
 *
 * @throws HomeportError REPLICATION_ELSEWHERE, exit 2, when it is not the server and database of
 * LOCAL_DATABASE_URL; REPLICATION_NOT_ADMITTED, exit 2; what {@link openReplicationSession} throws.
 */
export async function proveReplicationUrl(replicationUrl: string, primary: Server): Promise<SystemIdentity> {
  try {
    const session = await openReplicationSession(replicationUrl)
    try {
      const identity = await identifySystem(session)
      if (!isSameDatabase(await readServerFacts(session), primary.facts)) throw elsewhere(undefined)
      return identity
    } finally {
      await session.end()
    }
  } catch (error) {
    const cause = error instanceof HomeportError ? error.cause : error
    if (refusals.has(causeCode(cause))) throw elsewhere(error)
    if (causeCode(cause) !== notAdmitted) throw error
    throw new HomeportError(
      'REPLICATION_NOT_ADMITTED',
      'the primary does not admit the role of REPLICATION_DATABASE_URL from this machine',
      { hint: admission('REPLICATION_DATABASE_URL', 'primary'), exitCode: 2, cause: error },
    )
  }
}

function admission(setting: string, side: string): string {
  return `add to pg_hba.conf of the ${side}, above any line that rejects it: host DATABASE ROLE THIS-MACHINE/32 scram-sha-256 (database and role of ${setting}), then: select pg_reload_conf()`
}

function elsewhere(cause: unknown): HomeportError {
  return new HomeportError(
    'REPLICATION_ELSEWHERE',
    'REPLICATION_DATABASE_URL leads to another server or database than LOCAL_DATABASE_URL',
    {
      hint: 'in relay mode both lead from this machine to the primary at home; only the role differs',
      exitCode: 2,
      cause,
    },
  )
}

/**
 * Whether a write role's URL reaches the cloud and whether what it writes there is safe. The relay runs
 * here, so its URL must work from here (`strict`); the gateway's may only work where the gateway runs.
 */
export async function judgeWriteUrl(role: WriteRole, cloud: Server, strict: boolean): Promise<Finding[]> {
  const side = 'cloud'
  const severity = strict ? 'error' : 'warning'
  const { setting } = role
  let session: pg.Client
  try {
    session = await connect({ connectionString: role.url, applicationName: 'homeport ops' })
  } catch (error) {
    if (refusals.has(causeCode(error))) return [writerElsewhere(setting, severity)]
    if (!strict) return []
    if (causeCode(error) === notAdmitted) {
      const message = `the cloud does not admit the role of ${setting} from this machine`
      return [{ code: 'RELAY_NOT_ADMITTED', side, severity, message, fix: admission(setting, 'cloud') }]
    }
    const { message, hint } = error as HomeportError
    const fix = (hint ?? 'check the URL').replace('the URL', setting)
    return [{ code: 'DATABASE_UNREACHABLE', side, severity, message: `${setting}: ${message}`, fix }]
  }
  try {
    const facts = await readServerFacts(session)
    if (!isSameDatabase(facts, cloud.facts)) return [writerElsewhere(setting, severity)]
    return await judgeSession(session, setting)
  } finally {
    await session.end()
  }
}

async function judgeSession(session: pg.Client, setting: string): Promise<Finding[]> {
  const { rows } = await session.query<{ synchronousCommit: string; readOnly: string; pid: number }>(
    loadSql('checks/write-session'),
  )
  const found = rows[0]
  const findings: Finding[] = []
  if (found?.synchronousCommit === 'off') {
    findings.push({
      code: 'SYNCHRONOUS_COMMIT_OFF',
      side: 'cloud',
      severity: 'error',
      message: `synchronous_commit is off in the sessions of ${setting}: what it has written could be lost after the primary was told it is safe`,
      fix: 'as an administrator there: alter role ... set synchronous_commit = on, and take it out of the options of the URL',
    })
  }
  if (found?.readOnly === 'on') {
    findings.push({
      code: 'CLOUD_READ_ONLY',
      side: 'cloud',
      severity: 'error',
      message: `the sessions of ${setting} can only read: a standby, or default_transaction_read_only is on`,
      fix: 'put the address of the writable server there, or: alter role ... reset default_transaction_read_only',
    })
  }
  // The server told this connection another process number than its session has: somebody stands in between.
  if (found !== undefined && found.pid !== processNumber(session)) {
    findings.push({
      code: 'POOLED_CONNECTION',
      side: 'cloud',
      severity: 'warning',
      message: `a connection pooler answers at ${setting}; the relay works through it, only slower`,
      fix: 'put the direct address of the cloud server there, where it has one',
    })
  }
  return findings
}

/** As the server said at the start of the connection (BackendKeyData); the driver's types do not have it. */
function processNumber(session: pg.Client): number | undefined {
  return (session as pg.Client & { processID?: number }).processID
}

function writerElsewhere(setting: string, severity: Finding['severity']): Finding {
  return {
    code: setting === 'RELAY_DATABASE_URL' ? 'RELAY_ELSEWHERE' : 'GATEWAY_ELSEWHERE',
    side: 'cloud',
    severity,
    message: `${setting} leads to another server or database than PRODUCTION_DATABASE_URL`,
    fix: `correct the address in ${setting}`,
  }
}

function isSameDatabase(a: ServerFacts, b: ServerFacts): boolean {
  return isSameServer(a, b) && a.databaseOid === b.databaseOid
}
