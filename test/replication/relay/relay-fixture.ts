import type { CloudDescription, Progress } from '../../../replication/relay/cloud-link.ts'
import type { PrimaryFacts } from '../../../replication/relay/primary-facts.ts'

/** A progress row, following at 0/1000. */
export function progressAt(endLsn = '0/1000', more: Partial<Progress> = {}): Progress {
  return {
    slot: 'homeport_a',
    systemIdentifier: '7001',
    timeline: 1,
    commitLsn: endLsn,
    endLsn,
    sequence: '1',
    epoch: '1',
    state: 'following',
    ...more,
  }
}

/** A primary with one published table, whose slot fits {@link progressAt}. */
export function primaryFacts(more: Partial<PrimaryFacts> = {}): PrimaryFacts {
  return {
    serverVersion: 170_000,
    database: 'home',
    role: 'replicator',
    inRecovery: false,
    systemIdentifier: '7001',
    timeline: 1,
    walLsn: '0/2000',
    publishes: true,
    slot: {
      name: 'homeport_a',
      plugin: 'pgoutput',
      database: 'home',
      walStatus: 'reserved',
      confirmedLsn: '0/1000',
      active: false,
      holderPid: null,
      holder: null,
      holderRole: null,
      holderAddress: null,
    },
    columns: [
      { table: 'lexicon', column: 'term', type: 'integer' },
      { table: 'lexicon', column: 'documents', type: 'integer' },
    ],
    ...more,
  }
}

/** A cloud that fits {@link primaryFacts}. */
export function cloudDescription(more: Partial<CloudDescription> = {}): CloudDescription {
  const column = (name: string, notNull = true) => ({
    name,
    type: 'integer',
    notNull,
    hasDefault: false,
    generated: false,
  })
  return {
    slot: 'homeport_a',
    systemIdentifier: '9001',
    serverVersion: 170_000,
    database: 'cloud',
    tables: [{ name: 'lexicon', columns: [column('term'), column('documents')] }],
    synchronousCommit: 'on',
    isReadOnly: false,
    hasSession: true,
    progress: progressAt(),
    ...more,
  }
}
