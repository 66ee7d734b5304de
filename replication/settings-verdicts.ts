import { complaints, type Finding } from './finding.ts'
import { majorVersion, type ServerFacts } from './server-facts.ts'

/** How changes reach the cloud: it pulls them by a subscription, or the relay pushes them. */
export type ReplicationMode = 'native' | 'relay'

export interface SettingsInput {
  primary: ServerFacts
  cloud: ServerFacts
  /** whether the slot and, in native mode, the subscription are there already, and so counted as used */
  subscribed: boolean
  /** native by default */
  mode?: ReplicationMode
}

/**
 * What the settings and the rights of the primary lack. Workers of a native initial copy need slots of
 * their own; the relay's copy takes one more when it is resumed.
 */
export function judgePrimarySettings(input: SettingsInput): Finding[] {
  const { findings, complain } = complaints('primary')
  const facts = input.primary
  const needed = input.mode === 'relay' ? 2 : 1 + input.cloud.syncWorkers
  if (facts.walLevel !== 'logical') {
    complain(
      'WAL_LEVEL',
      `wal_level is ${facts.walLevel}`,
      "alter system set wal_level = 'logical', then restart it (managed: the parameter group, e.g. rds.logical_replication = 1)",
    )
  }
  if (!input.subscribed && facts.maxSlots - facts.usedSlots < needed) {
    complain(
      'TOO_FEW_SLOTS',
      `max_replication_slots is ${facts.maxSlots} and ${facts.usedSlots} are used; ${needed} must be free`,
      `alter system set max_replication_slots = ${facts.usedSlots + needed}, then restart it`,
    )
  }
  if (!input.subscribed && facts.maxWalSenders - facts.usedWalSenders < needed) {
    complain(
      'TOO_FEW_WAL_SENDERS',
      `max_wal_senders is ${facts.maxWalSenders} and ${facts.usedWalSenders} are used; ${needed} must be free`,
      `alter system set max_wal_senders = ${facts.usedWalSenders + needed}, then restart it`,
    )
  }
  if (!facts.superuser && !facts.replication) {
    complain(
      'PRIMARY_NO_REPLICATION',
      `the role ${facts.role} may not make a replication slot`,
      `as a superuser there: alter role ${facts.role} replication`,
    )
  }
  if (!facts.superuser && !facts.mayCreateInDatabase) {
    complain(
      'PRIMARY_NO_CREATE',
      `the role ${facts.role} may not make a publication in this database`,
      `as its owner: grant create on database ${facts.database} to ${facts.role}`,
    )
  }
  if (facts.slotWalKeepSize === '-1') {
    complain(
      'WAL_KEPT_FOR_EVER',
      'max_slot_wal_keep_size is not set: while the cloud is away, the log grows until the disk is full',
      "alter system set max_slot_wal_keep_size = '20GB'  (about half of the free disk), then: select pg_reload_conf()",
      'warning',
    )
  }
  return findings
}

/** What the settings and the rights of the cloud lack for a native subscription. */
export function judgeCloudSettings(input: SettingsInput): Finding[] {
  const { findings, complain } = complaints('cloud')
  const facts = input.cloud
  const needed = 1 + facts.syncWorkers
  if (!input.subscribed && facts.maxLogicalWorkers - facts.usedLogicalWorkers < needed) {
    complain(
      'TOO_FEW_LOGICAL_WORKERS',
      `max_logical_replication_workers is ${facts.maxLogicalWorkers} and ${facts.usedLogicalWorkers} are used; ${needed} must be free`,
      `alter system set max_logical_replication_workers = ${facts.usedLogicalWorkers + needed}, then restart it`,
    )
  }
  if (facts.maxWorkerProcesses <= facts.maxLogicalWorkers) {
    complain(
      'TOO_FEW_WORKER_PROCESSES',
      `max_worker_processes is ${facts.maxWorkerProcesses}, too few for ${facts.maxLogicalWorkers} replication workers`,
      `alter system set max_worker_processes = ${facts.maxLogicalWorkers + 4}, then restart it`,
    )
  }
  if (!input.subscribed && facts.maxOrigins - facts.usedOrigins < needed) {
    const setting = majorVersion(facts) >= 18 ? 'max_active_replication_origins' : 'max_replication_slots'
    complain(
      'TOO_FEW_ORIGINS',
      `${setting} is ${facts.maxOrigins} and ${facts.usedOrigins} are used; ${needed} must be free`,
      `alter system set ${setting} = ${facts.usedOrigins + needed}, then restart it`,
    )
  }
  if (!facts.superuser && majorVersion(facts) < 16) {
    complain(
      'CLOUD_NEEDS_SUPERUSER',
      `on Postgres ${majorVersion(facts)} only a superuser may subscribe, and ${facts.role} is none`,
      'use a superuser in PRODUCTION_DATABASE_URL, or Postgres 16 or newer, where pg_create_subscription is enough',
    )
  } else if (!facts.superuser && !facts.mayCreateSubscription) {
    complain(
      'CLOUD_NO_SUBSCRIPTION_RIGHT',
      `the role ${facts.role} may not subscribe`,
      `as an administrator there: grant pg_create_subscription to ${facts.role}`,
    )
  }
  if (!facts.superuser && !facts.mayCreateInDatabase) {
    complain(
      'CLOUD_NO_CREATE',
      `the role ${facts.role} may not make a subscription in this database`,
      `as its owner: grant create on database ${facts.database} to ${facts.role}`,
    )
  }
  if (input.primary.pgvector !== facts.pgvector) {
    complain(
      'PGVECTOR_DIFFERS',
      `pgvector is ${facts.pgvector ?? 'absent'} here and ${input.primary.pgvector ?? 'absent'} on the primary; vectors travel as text, 2.6 times larger`,
      'bring both to the same version',
      'warning',
    )
  }
  return findings
}
