import { publicationName } from '../core/published-tables.ts'
import { identifier } from '../core/sql.ts'
import type { Finding } from './finding.ts'
import type { PublicationState } from './publication.ts'
import type { PublicRights } from './role-facts.ts'
import type { ServerFacts } from './server-facts.ts'
import type { SlotFacts } from './slot.ts'
import type { SubscriptionState } from './subscription.ts'

export interface Existing {
  subscription: SubscriptionState | null
  slots: readonly SlotFacts[]
  publication: PublicationState | null
  slot: string
}

/** What is there already and cannot be made right by altering it. */
export function judgeExisting(existing: Existing): Finding[] {
  const findings: Finding[] = []
  const again = 'ops teardown-replication, empty the tables on the cloud, then ops setup-replication'
  if (existing.publication?.allTables === true) {
    findings.push({
      code: 'PUBLICATION_OF_ALL_TABLES',
      side: 'primary',
      severity: 'error',
      message: `the publication ${publicationName} publishes all tables, private rows included`,
      fix: `drop publication ${publicationName}, then ops setup-replication`,
    })
  }
  const slot = existing.slots.find((one) => one.name === existing.slot)
  if (existing.subscription === null) {
    if (slot?.active === true) {
      findings.push({
        code: 'SLOT_HELD',
        side: 'primary',
        severity: 'error',
        message: `the slot ${existing.slot} is read by process ${slot.activePid ?? 'unknown'}, and no subscription of this cloud does`,
        fix: `stop that process; on the primary: select pg_terminate_backend(${slot.activePid ?? 'PID'})`,
      })
    }
    return findings
  }
  if (!existing.subscription.publications.includes(publicationName)) {
    findings.push({
      code: 'SUBSCRIPTION_FOREIGN',
      side: 'cloud',
      severity: 'error',
      message: `the subscription follows ${existing.subscription.publications.join(', ')}, not ${publicationName}`,
      fix: again,
    })
  }
  if (slot === undefined || slot.walStatus === 'lost') {
    findings.push({
      code: 'SLOT_LOST',
      side: 'primary',
      severity: 'error',
      message:
        slot === undefined
          ? `the slot ${existing.slot} of the subscription is gone: changes since then are missing on the cloud`
          : `the slot ${existing.slot} is lost: the primary has thrown away log that the cloud has not taken`,
      fix: again,
    })
  }
  return findings
}

/** What the read-only role may still do because everybody may, and this role cannot change it. */
export function judgePublicRights(rights: PublicRights, facts: ServerFacts): Finding[] {
  const left = [
    ...(facts.superuser || rights.largeObjectWriters.length === 0 ? [] : ['make large objects']),
    ...(facts.ownsDatabase || !rights.temporary ? [] : ['make temporary tables']),
    ...(facts.ownsDatabase || !rights.createInSchema ? [] : ['make tables']),
  ]
  if (left.length === 0) return []
  return [
    {
      code: 'PUBLIC_MAY_WRITE',
      side: 'cloud',
      severity: 'warning',
      message: `${facts.role} may not take it from everybody, the read-only role included, to ${left.join(', ')}`,
      fix: `harmless to the content; a superuser can take it away there: ${revocations(rights, facts).join('; ')}`,
    },
  ]
}

function revocations(rights: PublicRights, facts: ServerFacts): string[] {
  const functions = rights.largeObjectWriters.join(', ')
  return [
    ...(facts.superuser || functions === '' ? [] : [`revoke execute on function ${functions} from public`]),
    ...(facts.ownsDatabase || !rights.temporary
      ? []
      : [`revoke temporary on database ${identifier(facts.database).sql} from public`]),
    ...(facts.ownsDatabase || !rights.createInSchema ? [] : ['revoke create on schema public from public']),
  ]
}

/** Copying into tables that have rows would collide at the first key that both have. */
export function judgeFilledTables(filled: readonly string[], ingested = false): Finding[] {
  if (filled.length === 0) return []
  if (ingested) {
    return [
      {
        code: 'CLOUD_INGESTED',
        side: 'cloud',
        severity: 'error',
        message: "its content was ingested there: this looks like a primary, and its rows are nobody's copy",
        fix: 'LOCAL_DATABASE_URL is the primary at home, PRODUCTION_DATABASE_URL the cloud: are they swapped?',
      },
    ]
  }
  return [
    {
      code: 'CLOUD_NOT_EMPTY',
      side: 'cloud',
      severity: 'error',
      message: `these tables have rows but no subscription fills them: ${filled.join(', ')}`,
      fix: `if they are an old copy of the primary, empty them there: truncate ${filled.join(', ')} cascade`,
    },
  ]
}
