import type { Readable } from 'node:stream'
import type { Batch } from './batch.ts'

/** The cloud's own record of how far it is; commits with the data. */
export interface Progress {
  slot: string
  /** of the primary that the slot belongs to */
  systemIdentifier: string
  timeline: number
  commitLsn: string
  /** everything that ended here or before is in the cloud, once */
  endLsn: string
  /** batches committed so far */
  sequence: string
  epoch: string
  /** promoted: this cloud is a primary itself, and takes nothing any more */
  state: 'seeding' | 'following' | 'stopped' | 'promoted'
}

/** What a batch needs to be taken: only the last relay that asked may write. */
export interface Lease {
  slot: string
  epoch: string
  /** kept in the relay's state folder: the same relay started again is the same holder */
  holder: string
}

export interface LeaseRequest {
  slot: string
  holder: string
  /** host and process, shown to whoever comes second */
  holderName: string
  systemIdentifier: string
  timeline: number
  leaseSeconds: number
}

/** A table as the cloud has it, for comparison with what the slot sends. */
export interface CloudTable {
  name: string
  columns: readonly {
    name: string
    /** as format_type prints it */
    type: string
    notNull: boolean
    hasDefault: boolean
    generated: boolean
  }[]
}

export interface CloudDescription {
  /** name of the slot of this cloud, whichever was asked for */
  slot: string
  systemIdentifier: string
  serverVersion: number
  database: string
  tables: readonly CloudTable[]
  /** effective for the role that applies */
  synchronousCommit: string
  isReadOnly: boolean
  /** false when a transaction pooler stands in between: session state does not last */
  hasSession: boolean
  progress: Progress | null
}

/** Rows that the cloud needs to complete an update it has no row for. */
export interface RowRequest {
  table: string
  /** names of the key's columns and, in their order, each row's key as text */
  keyColumns: readonly string[]
  keys: readonly (readonly string[])[]
}

/** A whole row, fetched from the primary by its key; absent there when `values` is null. */
export interface FetchedRow {
  table: string
  key: readonly string[]
  columns: readonly string[]
  /** text as Postgres prints it */
  values: readonly (string | null)[] | null
}

export interface Applied {
  kind: 'applied'
  /** false when the cloud had it all already */
  isNew: boolean
  progress: Progress
  rows: number
  /** updates and deletes that found no row, resolved and recorded */
  resolved: number
  quarantined: number
}

export interface NeedRows {
  kind: 'needRows'
  requests: readonly RowRequest[]
}

export interface ApplyOptions {
  lease: Lease
  /** put poison rows aside instead of stopping */
  quarantine: boolean
  /** what an earlier NeedRows asked for */
  fetched?: readonly FetchedRow[]
  signal?: AbortSignal
  onBytes?: (bytes: number) => void
}

/** A range of primary keys of one table, copied in one piece. */
export interface SeedRange {
  table: string
  number: number
  /** key values as text; null is open */
  from: readonly string[] | null
  to: readonly string[] | null
  /** null while it is still to be copied */
  snapshotLsn: string | null
  rows: string | null
}

/** What the relay shows of itself in the cloud: ops status and the gateway's /health read it. */
export interface RelayReport {
  state: 'seeding' | 'following' | 'stopped'
  stopCode: string | null
  stopMessage: string | null
  stopHint: string | null
}

/** The cloud as the relay writes to it. Two ways, one meaning: straight to Postgres, or over HTTPS to the gateway. */
export interface CloudLink {
  readonly name: 'direct' | 'gateway'
  describe(slot: string): Promise<CloudDescription>
  /** A new epoch; who held the lease before can no longer write. @throws HomeportError RELAY_HELD. */
  acquire(request: LeaseRequest): Promise<{ lease: Lease; progress: Progress }>
  renew(lease: Lease): Promise<void>
  /** One cloud transaction: the data and the progress. @throws HomeportError, see decide.ts for what to do. */
  apply(batch: Batch, options: ApplyOptions): Promise<Applied | NeedRows>
  readProgress(slot: string): Promise<Progress | null>
  report(lease: Lease, report: RelayReport): Promise<void>
  seed: SeedLink
  close(): Promise<void>
}

/** The initial copy. The progress row is in state seeding meanwhile, and no batch is taken. */
export interface SeedLink {
  /** Makes (or finds) the progress row and the list of ranges; nothing is copied yet. */
  begin(options: {
    progress: Omit<Progress, 'sequence' | 'epoch' | 'state'>
    ranges: readonly Pick<SeedRange, 'table' | 'number' | 'from' | 'to'>[]
    /** these tables are emptied first, in the same transaction */
    empty: readonly string[]
  }): Promise<void>
  ranges(slot: string): Promise<SeedRange[]>
  /** Rows as binary COPY, committed together with the range's own record; a range that is done already takes nothing. */
  copyRange(options: {
    slot: string
    range: SeedRange
    columns: readonly string[]
    snapshotLsn: string
    rows: Readable
    signal?: AbortSignal
  }): Promise<{ rows: number }>
  /** All ranges are there: from now on batches are taken. */
  finish(slot: string): Promise<Progress>
}
