import { identifier } from '../core/sql.ts'
import { refuseOnErrors, type Finding, type Side } from './finding.ts'
import { compareVersions, isSameServer, majorVersion, type ServerFacts } from './server-facts.ts'

/** halfvec came with 0.7.0. */
const oldestPgvector = '0.7.0'
/** Below it, parallel HNSW builds may write past their memory (CVE-2026-3172). */
export const safeParallelBuilds = '0.8.2'
const soundVacuum = '0.8.4'

/** What keeps a server from being used at all, whatever its role: version, recovery, pgvector. */
export function judgeServer(side: Side, facts: ServerFacts): Finding[] {
  const findings: Finding[] = []
  if (majorVersion(facts) < 15) {
    findings.push({
      code: 'POSTGRES_TOO_OLD',
      side,
      severity: 'error',
      message: `Postgres ${facts.versionText} is too old: row filters came with 15`,
      fix: 'upgrade it to Postgres 15 or newer',
    })
  }
  if (facts.inRecovery) {
    findings.push({
      code: 'SERVER_IN_RECOVERY',
      side,
      severity: 'error',
      message: 'this is a standby, which can only read',
      fix: 'put the address of the writable server into the URL',
    })
  }
  return [...findings, ...judgeEncoding(side, facts), ...judgePgvector(side, facts)]
}

function judgeEncoding(side: Side, facts: ServerFacts): Finding[] {
  const database = identifier(facts.database).sql
  if (facts.encoding !== 'UTF8') {
    return [
      {
        code: 'DATABASE_ENCODING',
        side,
        severity: 'error',
        message: `the encoding of the database is ${facts.encoding}, which cannot hold every transcript`,
        fix: 'make one with: createdb --encoding UTF8 --template template0 NAME',
      },
    ]
  }
  // The workers of a subscription take it from there, and would read the primary's UTF8 as something else.
  if (side === 'primary' || facts.clientEncoding === null || /^utf-?8$/i.test(facts.clientEncoding)) return []
  return [
    {
      code: 'CLIENT_ENCODING',
      side,
      severity: 'error',
      message: `client_encoding is set to ${facts.clientEncoding} for this database or role: a subscription would store garbled text`,
      fix: `alter database ${database} reset client_encoding; alter role ${identifier(facts.role).sql} reset client_encoding; alter role ${identifier(facts.role).sql} in database ${database} reset client_encoding`,
    },
  ]
}

function judgePgvector(side: Side, facts: ServerFacts): Finding[] {
  const version = facts.pgvector ?? facts.pgvectorAvailable
  if (version === null) {
    const packageName = `postgresql-${majorVersion(facts)}-pgvector`
    return [
      {
        code: 'PGVECTOR_MISSING',
        side,
        severity: 'error',
        message: 'pgvector is not installed on this server',
        fix: `install the package ${packageName} there, or switch the extension "vector" on at your provider`,
      },
    ]
  }
  const newest = facts.pgvectorAvailable ?? version
  const update =
    facts.pgvector !== null && compareVersions(newest, facts.pgvector) > 0
      ? `alter extension vector update  (the server has ${newest})`
      : 'install pgvector 0.8.4 or newer on that server, then: alter extension vector update'
  if (compareVersions(version, oldestPgvector) < 0) {
    return [
      {
        code: 'PGVECTOR_TOO_OLD',
        side,
        severity: 'error',
        message: `pgvector ${version} is too old: halfvec came with ${oldestPgvector}`,
        fix: update,
      },
    ]
  }
  if (compareVersions(version, safeParallelBuilds) < 0) {
    return [
      {
        code: 'PGVECTOR_UNSAFE_BUILD',
        side,
        severity: 'warning',
        message: `pgvector ${version} can write past its memory in parallel index builds (CVE-2026-3172); indexes are built without parallel workers`,
        fix: update,
      },
    ]
  }
  if (compareVersions(version, soundVacuum) < 0) {
    return [
      {
        code: 'PGVECTOR_UNSOUND_VACUUM',
        side,
        severity: 'warning',
        message: `pgvector ${version} can damage an HNSW index during vacuum`,
        fix: update,
      },
    ]
  }
  return []
}

/**
 * One server may not be both sides: a subscription inside one cluster waits for itself for ever. And
 * neither may be the other: a heartbeat that is written in the cloud stops the subscription.
 */
export function judgeServerPair(primary: ServerFacts, cloud: ServerFacts): Finding[] {
  const finding = (code: string, side: Side, message: string, fix: string): Finding[] => [
    { code, side, severity: 'error', message, fix },
  ]
  if (isSameServer(primary, cloud)) {
    const what =
      primary.databaseOid === cloud.databaseOid ? 'the same database' : 'two databases of the same server'
    return finding(
      'SAME_SERVER',
      'cloud',
      `LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL are ${what}`,
      'put the address of the second server into PRODUCTION_DATABASE_URL',
    )
  }
  const right = 'LOCAL_DATABASE_URL is the primary at home, PRODUCTION_DATABASE_URL the cloud'
  if (primary.follows) {
    const what = 'LOCAL_DATABASE_URL leads to a cloud: it follows a primary'
    return finding('SIDES_SWAPPED', 'primary', what, right)
  }
  if (cloud.promoted && !cloud.follows) {
    const what = "PRODUCTION_DATABASE_URL leads to a primary: this cloud was promoted, and is nobody's copy"
    const next =
      'put it into LOCAL_DATABASE_URL; PRODUCTION_DATABASE_URL is for a new, empty database that is to follow it'
    return finding('PROMOTED', 'cloud', what, next)
  }
  if (cloud.publishes && !cloud.follows) {
    const what = 'PRODUCTION_DATABASE_URL leads to a primary: it has the publication that clouds follow'
    return finding(
      'SIDES_SWAPPED',
      'cloud',
      what,
      `${right}; if it is the cloud: drop publication homeport there`,
    )
  }
  return []
}

/** @throws HomeportError SAME_SERVER, SIDES_SWAPPED or PROMOTED, exit 2. */
export function refuseWrongServers(primary: ServerFacts, cloud: ServerFacts): void {
  refuseOnErrors(judgeServerPair(primary, cloud), 'these servers cannot be used')
}
