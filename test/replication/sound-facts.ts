import type { ReplicationHealth } from '../../replication/health.ts'
import type { ServerFacts } from '../../replication/server-facts.ts'
import type { SlotFacts } from '../../replication/slot.ts'

// What servers say that are as they should be: a test changes the one thing that it is about.

export const soundServer: ServerFacts = {
  versionNumber: 170002,
  versionText: '17.2',
  role: 'owner',
  database: 'home',
  databaseOid: '5',
  encoding: 'UTF8',
  clientEncoding: null,
  startedAt: '1.000001',
  systemIdentifier: '7000',
  inRecovery: false,
  pgvector: '0.8.4',
  pgvectorSchema: 'public',
  pgvectorAvailable: '0.8.4',
  walLevel: 'logical',
  maxSlots: 10,
  usedSlots: 0,
  maxWalSenders: 10,
  usedWalSenders: 0,
  maxOrigins: 10,
  usedOrigins: 0,
  maxLogicalWorkers: 4,
  usedLogicalWorkers: 0,
  maxWorkerProcesses: 8,
  syncWorkers: 2,
  slotWalKeepSize: '20GB',
  passwordEncryption: 'scram-sha-256',
  follows: false,
  promoted: false,
  publishes: false,
  superuser: true,
  replication: true,
  createRole: true,
  mayCreateSubscription: false,
  mayCreateInDatabase: true,
  ownsDatabase: true,
}

export const soundSubscription: NonNullable<ReplicationHealth['subscription']> = {
  oid: '1',
  enabled: true,
  binary: true,
  streaming: 't',
  disableOnError: false,
  slot: 'homeport_1',
  publications: ['homeport'],
  tables: [],
}

export const soundSlot: SlotFacts = {
  name: 'homeport_1',
  active: true,
  activePid: 1,
  walStatus: 'reserved',
  safeWalBytes: null,
  confirmedLsn: '0/1',
  currentLsn: '0/1',
  retainedBytes: '0',
  lagBytes: '0',
}
