import type { Finding } from './finding.ts'

export interface FourUrls {
  primaryUrl: string
  cloudUrl: string
  readerUrl: string
  replicationUrl: string
}

/**
 * What the addresses alone give away. The two role URLs are as other machines see the servers, so a
 * loopback address proves nothing by itself, and that two addresses differ proves nothing at all.
 */
export function judgeAddresses(urls: FourUrls): Finding[] {
  const primary = addressOf(urls.primaryUrl)
  const cloud = addressOf(urls.cloudUrl)
  if (primary.text === cloud.text) return []
  const reader = addressOf(urls.readerUrl)
  const replicator = addressOf(urls.replicationUrl)
  const readerAtHome = reader.text === primary.text
  const replicatorAway = replicator.text === cloud.text
  if (readerAtHome && replicatorAway) {
    return [
      {
        code: 'SIDES_SWAPPED',
        side: 'primary',
        severity: 'error',
        message:
          'LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL look swapped: DATABASE_URL has the address of the first, REPLICATION_DATABASE_URL that of the second',
        fix: 'LOCAL_ and REPLICATION_DATABASE_URL lead to the primary at home, PRODUCTION_DATABASE_URL and DATABASE_URL to the cloud',
      },
    ]
  }
  const findings: Finding[] = []
  if (readerAtHome && !reader.loopback) {
    findings.push({
      code: 'READER_ELSEWHERE',
      side: 'cloud',
      severity: 'error',
      message: 'DATABASE_URL has the address of the primary',
      fix: 'put the address of the cloud into it, as the api sees it',
    })
  }
  if (replicatorAway && !replicator.loopback) {
    findings.push({
      code: 'REPLICATION_ELSEWHERE',
      side: 'primary',
      severity: 'error',
      message: 'REPLICATION_DATABASE_URL has the address of the cloud',
      fix: 'put the address of the primary into it, as the cloud sees it',
    })
  }
  return findings
}

function addressOf(url: string): { text: string; loopback: boolean } {
  const parsed = new URL(url)
  const host = (parsed.searchParams.get('host') ?? parsed.hostname).toLowerCase()
  const port = parsed.searchParams.get('port') ?? (parsed.port === '' ? '5432' : parsed.port)
  const loopback = host === '' || host.startsWith('/') || /^(localhost|127\.[\d.]+|\[?::1\]?)$/.test(host)
  return { text: `${host}:${port}`, loopback }
}
