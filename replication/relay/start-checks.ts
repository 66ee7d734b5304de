import { HomeportError, type ExitCode } from '../../core/errors.ts'
import { parseLsn } from '../../core/lsn.ts'
import { addColumn, changeType, plainName } from '../schema-difference.ts'
import { promoted, schemaHint } from './apply/errors.ts'
import type { CloudDescription, Progress } from './cloud-link.ts'
import type { PrimaryFacts, RelaySlot } from './primary-facts.ts'

// Postgres never objects to a wrong start position: below the slot's it moves forward, above its log it skips,
// both silently (CreateDecodingContext in logical.c). So every pair of positions is compared here, before anything is
// acknowledged, at the start and after every reconnection.

/** What the spool holds, when it holds anything. */
export interface SpoolChain {
  firstAfter: string
  endLsn: string
}

/** How far the cloud was when it last confirmed anything to this relay. */
export interface Memory {
  cloudLsn: string
  /** start of the last commit record that it had; nothing else was published from there to `cloudLsn` */
  commitLsn: string
  /** batches that it had taken; a copy that was made anew goes on counting */
  sequence: string
}

const reseed = 'ops reseed copies everything again, from a new slot'
const setUp = 'ops setup-replication --mode relay'

function stop(code: string, message: string, hint: string, exitCode: ExitCode = 1): HomeportError {
  return new HomeportError(code, message, { hint, exitCode })
}

/** The primary alone: that it is one, and that it publishes. */
export function judgePrimary(primary: PrimaryFacts): HomeportError | null {
  if (primary.inRecovery) {
    const message = 'REPLICATION_DATABASE_URL leads to a standby, which can only read'
    return stop('SERVER_IN_RECOVERY', message, 'put the address of the writable server there', 2)
  }
  return null
}

/** Two servers, one of them the cloud that was set up for the other. */
export function judgePair(
  primary: PrimaryFacts,
  cloud: CloudDescription,
  memory: Memory | null,
): HomeportError | null {
  if (primary.systemIdentifier !== null && primary.systemIdentifier === cloud.systemIdentifier) {
    return stop(
      'SAME_SERVER',
      'the primary and the cloud are the same server, by its system identifier',
      'REPLICATION_DATABASE_URL is the primary at home, RELAY_DATABASE_URL (or the gateway) the cloud',
      2,
    )
  }
  if (cloud.progress === null) return judgeNoProgress(primary, memory)
  if (cloud.progress.state === 'promoted') return promoted(cloud.progress.slot)
  if (cloud.progress.slot !== cloud.slot) {
    const message = `the cloud is a copy of the database that this relay has filled (it has the record of slot ${cloud.progress.slot}, and its own would be ${cloud.slot}): it was restored elsewhere`
    return stop('CLOUD_REWOUND', message, `${setUp} fills it anew`)
  }
  return judgeIdentity(primary, cloud.progress)
}

function judgeNoProgress(primary: PrimaryFacts, memory: Memory | null): HomeportError {
  if (memory !== null) {
    const message = `the cloud had everything up to ${memory.cloudLsn} and has no record of it now: it was restored to an older state, or made anew`
    return stop('CLOUD_REWOUND', message, reseed)
  }
  if (!primary.publishes) {
    const message =
      'REPLICATION_DATABASE_URL leads to a database that publishes nothing: a cloud, or one that was never set up'
    return stop('NOT_SET_UP', message, `correct the two URLs if they are swapped; else: ${setUp}`, 2)
  }
  return stop('NOT_SET_UP', 'the cloud has no record of this relay', setUp, 2)
}

/** The primary is the one that the cloud follows, and has not gone back. */
export function judgeIdentity(
  primary: Pick<PrimaryFacts, 'systemIdentifier' | 'timeline' | 'walLsn'>,
  progress: Pick<Progress, 'systemIdentifier' | 'timeline' | 'endLsn'>,
): HomeportError | null {
  if (primary.systemIdentifier !== null && primary.systemIdentifier !== progress.systemIdentifier) {
    const message = `this primary (system identifier ${primary.systemIdentifier}) is not the one that the cloud follows (${progress.systemIdentifier})`
    const hint = `correct REPLICATION_DATABASE_URL; if the primary was made anew: ${reseed}`
    return stop('PRIMARY_CHANGED', message, hint)
  }
  if (primary.timeline !== null && primary.timeline !== progress.timeline) {
    const message = `the primary is on timeline ${primary.timeline}, the cloud follows timeline ${progress.timeline}: it was promoted or restored`
    return stop('PRIMARY_CHANGED', message, reseed)
  }
  if (parseLsn(progress.endLsn) > parseLsn(primary.walLsn)) {
    const message = `the cloud has everything up to ${progress.endLsn}, the primary has only written up to ${primary.walLsn}: the primary was restored to an older state`
    return stop(
      'PRIMARY_REWOUND',
      message,
      `compare both sides before anything is thrown away; then ${reseed}`,
    )
  }
  return null
}

/** The cloud's role and its state: what it commits lasts, and the copy is complete. */
export function judgeCloud(cloud: CloudDescription): HomeportError | null {
  if (cloud.synchronousCommit === 'off') {
    const message =
      'synchronous_commit is off for the role that applies: the cloud could lose what was acknowledged'
    const hint =
      'alter role ROLE reset synchronous_commit; (ROLE is the user of RELAY_DATABASE_URL, or of the gateway)'
    return stop('SYNCHRONOUS_COMMIT_OFF', message, hint, 2)
  }
  if (cloud.isReadOnly) {
    return stop(
      'CLOUD_READ_ONLY',
      'the cloud can only be read at the moment',
      'it may be failing over; the relay waits',
    )
  }
  if (cloud.progress?.state === 'seeding') {
    const hint = `${setUp} goes on with it`
    return stop('SEED_UNFINISHED', 'the initial copy is not complete', hint)
  }
  return null
}

/** What lies in the spool belongs to this cloud. */
export function judgeSpool(spoolSlot: string | null, slot: string): HomeportError | null {
  if (spoolSlot === null || spoolSlot === slot) return null
  const message = `the spool holds changes of slot ${spoolSlot}, and this cloud's is ${slot}`
  return stop(
    'SPOOL_FOREIGN',
    message,
    'run ops relay with the URL of that cloud, or with another RELAY_STATE_PATH',
  )
}

/** The slot can be read and loses nothing. */
export function judgeSlot(slot: RelaySlot | null, name: string, database: string): HomeportError | null {
  if (slot === null) {
    return stop(
      'SLOT_MISSING',
      `the primary has no slot ${name}: what was written since is not kept for the cloud`,
      reseed,
    )
  }
  if (slot.plugin !== 'pgoutput' || slot.database !== database) {
    const message = `slot ${name} belongs to ${slot.plugin ?? 'physical replication'} in ${slot.database ?? 'no database'}, not to this relay`
    return stop('SLOT_FOREIGN', message, setUp)
  }
  if (slot.walStatus === 'lost' || slot.confirmedLsn === null) {
    const message = `slot ${name} is lost: the primary threw log away that the cloud does not have (max_slot_wal_keep_size)`
    return stop('SLOT_LOST', message, `${reseed}; raise max_slot_wal_keep_size if it happens again`)
  }
  return null
}

/** Somebody else reads the slot. */
export function slotHeld(slot: RelaySlot): HomeportError {
  const who = [
    slot.holder === null ? null : `"${slot.holder}"`,
    slot.holderRole === null ? null : `as ${slot.holderRole}`,
    slot.holderAddress === null ? null : `from ${slot.holderAddress}`,
    slot.holderPid === null ? null : `(process ${slot.holderPid} of the primary)`,
    (slot.holderSince ?? null) === null ? null : `since ${slot.holderSince}`,
  ].filter((part) => part !== null)
  const by = who.length === 0 ? 'somebody else' : who.join(' ')
  const hint = `end the other reader; select pg_terminate_backend(${slot.holderPid ?? 'PID'}) on the primary does it`
  return stop('SLOT_HELD', `slot ${slot.name} is being read by ${by}`, hint)
}

export type Position =
  | { error: HomeportError }
  | {
      error: null
      startLsn: string
      /** the cloud has everything that is in the spool */
      spoolIsDone: boolean
    }

/**
 * Where reading begins: after what the cloud has, or after the spool when that goes on from there.
 * Before it nothing may be missing, so the slot must not be further.
 */
export function judgePosition(input: {
  progress: Pick<Progress, 'endLsn' | 'sequence'>
  slot: RelaySlot
  spool: SpoolChain | null
  memory: Memory | null
}): Position {
  const { progress, spool, memory, slot } = input
  const cloudLsn = parseLsn(progress.endLsn)
  if (memory !== null && isBehind(progress, memory)) {
    return { error: cloudRewound(progress.endLsn, memory.cloudLsn) }
  }
  if (spool !== null && cloudLsn < parseLsn(spool.firstAfter)) {
    return { error: cloudRewound(progress.endLsn, spool.firstAfter) }
  }
  const spoolIsDone = spool !== null && parseLsn(spool.endLsn) <= cloudLsn
  const startLsn = spool === null || spoolIsDone ? progress.endLsn : spool.endLsn
  const confirmedLsn = slot.confirmedLsn ?? startLsn
  if (parseLsn(startLsn) >= parseLsn(confirmedLsn)) return { error: null, startLsn, spoolIsDone }
  // What we remember the cloud still has, so it was not the cloud that moved.
  if (memory !== null) {
    const message = `slot ${slot.name} begins at ${confirmedLsn}, past ${startLsn}, which is as far as the cloud is: it was made anew, or read by something else`
    return { error: stop('SLOT_RECREATED', message, reseed) }
  }
  return { error: cloudRewound(startLsn, confirmedLsn) }
}

/** Whether the cloud has lost what we saw it have. A new copy may begin earlier, on a restored primary; it goes on counting. */
function isBehind(progress: Pick<Progress, 'endLsn' | 'sequence'>, memory: Memory): boolean {
  return (
    parseLsn(progress.endLsn) < parseLsn(memory.cloudLsn) &&
    BigInt(progress.sequence) < BigInt(memory.sequence)
  )
}

/** The cloud has less than it had. */
export function cloudRewound(nowLsn: string, hadLsn: string): HomeportError {
  const message = `the cloud is at ${nowLsn}, but had everything up to ${hadLsn}: it was restored to an older state`
  return stop('CLOUD_REWOUND', message, reseed)
}

/** Each column that the slot sends has a place of the same type in the cloud, and nothing there needs more. */
export function judgeSchema(primary: PrimaryFacts, cloud: CloudDescription): HomeportError | null {
  const differences = compareSchema(primary, cloud)
  if (differences.length === 0) return null
  const message = `the cloud's tables do not fit what the primary sends:\n  ${differences.join('\n  ')}`
  return stop('SCHEMA_MISMATCH', message, schemaHint)
}

function compareSchema(primary: PrimaryFacts, cloud: CloudDescription): string[] {
  const differences: string[] = []
  const tables = new Map(cloud.tables.map((table) => [table.name, table]))
  for (const name of new Set(primary.columns.map((column) => column.table))) {
    const table = tables.get(name)
    if (table === undefined) {
      differences.push(`table ${name} is missing in the cloud: ops schema diff says how it gets it`)
      continue
    }
    const sent = primary.columns.filter((column) => column.table === name)
    for (const { column, type } of sent) {
      const found = table.columns.find((one) => one.name === column)
      if (found === undefined) {
        const add = addColumn(name, { column, type, notNull: false, default: null })
        differences.push(`${name}.${column} (${type}) is missing in the cloud: ${add}`)
      } else if (found.generated) {
        const drop = `alter table ${name} alter column ${plainName(column)} drop expression`
        differences.push(`${name}.${column} is generated in the cloud: ${drop}`)
      } else if (found.type !== type) {
        const change = changeType(name, column, type)
        differences.push(`${name}.${column} is ${type} on the primary, ${found.type} in the cloud: ${change}`)
      }
    }
    for (const column of table.columns) {
      const needed = column.notNull && !column.hasDefault && !column.generated
      if (needed && !sent.some((one) => one.column === column.name)) {
        const relax = `alter table ${name} alter column ${plainName(column.name)} drop not null`
        differences.push(
          `${name}.${column.name} in the cloud needs a value, and the primary sends none: ${relax}`,
        )
      }
    }
  }
  return differences
}
