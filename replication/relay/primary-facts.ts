import { readSystemIdentifier } from '../../core/database-identity.ts'
import type { Queryable } from '../../core/db.ts'
import { publicationName } from '../../core/published-tables.ts'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'

/** The slot that the relay reads, as the primary has it. */
export interface RelaySlot {
  name: string
  plugin: string | null
  database: string | null
  /** reserved, extended, unreserved or lost */
  walStatus: string | null
  confirmedLsn: string | null
  active: boolean
  holderPid: number | null
  /** its application_name; null where our role may not see it */
  holder: string | null
  holderRole: string | null
  holderAddress: string | null
  /** when its session began */
  holderSince?: string | null
}

/** What the primary says about itself, the slot and the publication. */
export interface PrimaryFacts {
  serverVersion: number
  database: string
  role: string
  inRecovery: boolean
  /** null where the role may not read it; the stream says it again */
  systemIdentifier: string | null
  /** null on a standby */
  timeline: number | null
  /** flushed so far */
  walLsn: string
  publishes: boolean
  slot: RelaySlot | null
  /** what the publication sends */
  columns: readonly PublishedColumn[]
}

export interface PublishedColumn {
  table: string
  column: string
  /** as format_type prints it */
  type: string
}

/** Asks the primary; `slot` null where its name is not known yet. */
export async function readPrimaryFacts(db: Queryable, slot: string | null): Promise<PrimaryFacts> {
  const { rows } = await db.query<Omit<PrimaryFacts, 'systemIdentifier' | 'columns'>>(
    loadSql('relay/primary'),
    [slot, publicationName],
  )
  const facts = rows[0]
  if (facts === undefined) throw new HomeportError('CATALOGUE', 'the primary gave no answer about itself')
  const columns = await db.query<PublishedColumn>(loadSql('relay/published-columns'), [publicationName])
  return { ...facts, columns: columns.rows, systemIdentifier: await readSystemIdentifier(db) }
}
