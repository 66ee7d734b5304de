import { judgeHealth } from '../../../replication/health-verdicts.ts'
import type { ReplicationHealth } from '../../../replication/health.ts'
import { judgeDisk, judgeForecast, judgeHeartbeat } from '../../../replication/monitor/verdicts.ts'
import { judgeServer } from '../../../replication/server-verdicts.ts'
import { soundServer, soundSlot, soundSubscription } from '../../replication/sound-facts.ts'
import type { Cause } from './support.ts'

const gib = 1024 ** 3

/** A subscription that works, as a look finds it. */
function health(slot: Partial<NonNullable<ReplicationHealth['slot']>>, lagSeconds = 0): ReplicationHealth {
  return {
    subscription: soundSubscription,
    relay: null,
    workers: { applyPid: 1, receivedLsn: '0/1', silentSeconds: 0, applyErrors: 0, syncErrors: 0 },
    newApplyErrors: 0,
    slot: { ...soundSlot, ...slot },
    otherSlots: [],
    lag: { bytes: 0, seconds: lagSeconds },
    index: null,
  }
}

/** What cannot be made on a machine that tests run on: judged from what a server would say. */
export const causesFromFacts: readonly Cause[] = [
  {
    name: 'the disk is 80 % full',
    facts: () => judgeDisk({ freeBytes: 19 * gib, totalBytes: 100 * gib }, new Map()),
    code: 'DISK',
    message: /the disk with the primary's log is 81 % full/,
    fix: /free some of it/,
  },
  {
    name: 'the log runs out in some hours',
    facts: () => judgeForecast({ seconds: 3 * 3600, what: 'it is cut off' }, 'homeport_1', new Map()),
    code: 'SLOT_ENDS_SOON',
    message: /the slot homeport_1 is cut in/,
    fix: /^ops status/,
  },
  {
    name: 'the slot is lost at the next checkpoint',
    facts: () => judgeHealth(health({ walStatus: 'unreserved' })),
    code: 'SLOT_AT_RISK',
    message: /will be lost at the next checkpoint/,
    fix: /max_slot_wal_keep_size/,
  },
  {
    name: 'half of what the slot may keep is used',
    facts: () => judgeHealth(health({ safeWalBytes: '40', retainedBytes: '60' })),
    code: 'SLOT_HALF_FULL',
    message: /has used half of max_slot_wal_keep_size/,
    fix: /max_slot_wal_keep_size/,
  },
  {
    name: 'the heartbeat does not travel though all seems to run',
    facts: () => judgeHeartbeat(health({}, 900), [], { limitSeconds: 60, raised: new Map() }),
    code: 'HEARTBEAT_STUCK',
    message: /the last heartbeat that the cloud has is .* old/,
    fix: /^ops status/,
  },
  {
    name: 'the server has no pgvector',
    facts: () => judgeServer('cloud', { ...soundServer, pgvector: null, pgvectorAvailable: null }),
    code: 'PGVECTOR_MISSING',
    message: /pgvector/,
    fix: /postgresql-17-pgvector/,
  },
  {
    name: 'a standby',
    facts: () => judgeServer('primary', { ...soundServer, inRecovery: true }),
    code: 'SERVER_IN_RECOVERY',
    message: /this is a standby/,
    fix: /put the address of the writable server/,
  },
  {
    name: 'a server that is too old',
    facts: () => judgeServer('primary', { ...soundServer, versionNumber: 140000, versionText: '14.0' }),
    code: 'POSTGRES_TOO_OLD',
    message: /Postgres 14\.0 is too old/,
    fix: /upgrade it to Postgres 15/,
  },
]
