import type { Finding, Side } from './finding.ts'
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
  return [...findings, ...judgePgvector(side, facts)]
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

/** One server may not be both sides: a subscription inside one cluster waits for itself for ever. */
export function judgeServerPair(primary: ServerFacts, cloud: ServerFacts): Finding[] {
  if (!isSameServer(primary, cloud)) return []
  const what =
    primary.databaseOid === cloud.databaseOid
      ? 'LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL are the same database'
      : 'LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL are two databases of the same server'
  return [
    {
      code: 'SAME_SERVER',
      side: 'cloud',
      severity: 'error',
      message: what,
      fix: 'put the address of the second server into PRODUCTION_DATABASE_URL',
    },
  ]
}
