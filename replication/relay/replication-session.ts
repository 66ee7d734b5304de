import type pg from 'pg'
import { connect } from '../../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'

/** What IDENTIFY_SYSTEM answers (PostgreSQL documentation, Streaming Replication Protocol). */
export interface SystemIdentity {
  systemIdentifier: string
  timeline: number
  /** flushed so far */
  walLsn: string
  database: string
}

/**
 * A session of REPLICATION_DATABASE_URL in which the primary takes replication commands, and simple
 * queries without parameters. It waits as long as it must: no limit of the server ends it.
 *
 * @throws HomeportError POOLED_CONNECTION, REPLICATION_DENIED or TOO_FEW_WAL_SENDERS, exit 2; DATABASE_UNREACHABLE.
 */
export async function openReplicationSession(replicationUrl: string): Promise<pg.Client> {
  const url = new URL(replicationUrl)
  url.searchParams.set('replication', 'database')
  try {
    const session = await connect({ connectionString: url.href, applicationName: 'homeport ops' })
    await session.query(loadSql('relay/endless-session'))
    return session
  } catch (error) {
    throw explainRefusal(error)
  }
}

/** Who answers in a replication session. */
export async function identifySystem(session: pg.Client): Promise<SystemIdentity> {
  interface Row {
    systemid: string
    timeline: number
    xlogpos: string
    dbname: string | null
  }
  const { rows } = await session.query<Row>('IDENTIFY_SYSTEM')
  const row = rows[0]
  if (row === undefined || row.dbname === null) throw pooled(undefined)
  return {
    systemIdentifier: row.systemid,
    timeline: Number(row.timeline),
    walLsn: row.xlogpos,
    database: row.dbname,
  }
}

function explainRefusal(error: unknown): HomeportError {
  const cause = error instanceof HomeportError ? error.cause : error
  const code = errorCode(cause)
  const text = errorMessage(cause)
  // A pooler between client and server knows no replication protocol, or says so in its own words.
  if (/unsupported startup parameter|replication connections? (?:is|are) not|08P01/i.test(text))
    return pooled(error)
  if (code === '08P01' || code === '0A000' || code === '42601') return pooled(error)
  if (
    code === '42501' ||
    /must be superuser or replication role|permission denied to start WAL sender/i.test(text)
  ) {
    return new HomeportError(
      'REPLICATION_DENIED',
      'the primary does not let the role of REPLICATION_DATABASE_URL replicate',
      { hint: 'ops setup-replication --mode relay gives it the attribute', exitCode: 2, cause: error },
    )
  }
  if (code === '53300' || /max_wal_senders/.test(text)) {
    return new HomeportError('TOO_FEW_WAL_SENDERS', 'the primary has no wal sender free', {
      hint: 'alter system set max_wal_senders = 20 there, then restart it',
      exitCode: 2,
      cause: error,
    })
  }
  const known = error instanceof HomeportError ? error : undefined
  return new HomeportError(
    known?.code ?? 'DATABASE_UNREACHABLE',
    `REPLICATION_DATABASE_URL: ${known?.message ?? text}`,
    {
      hint: (known?.hint ?? 'check the URL').replace('the URL', 'REPLICATION_DATABASE_URL'),
      cause: error,
    },
  )
}

function pooled(cause: unknown): HomeportError {
  return new HomeportError(
    'POOLED_CONNECTION',
    'what answers at REPLICATION_DATABASE_URL is a connection pooler, not Postgres itself: it passes no replication on',
    { hint: 'put the direct address of the primary there (host and port of Postgres)', exitCode: 2, cause },
  )
}
