import { errorCode, HomeportError, type ExitCode } from '../../../core/errors.ts'

// What the apply side throws. Stops are a HomeportError with one of these codes:
//   RELAY_FENCED        another relay took over (apply, renew, report)
//   RELAY_HELD          another relay holds the lease (acquire)
//   RELAY_GAP           the batch begins after the cloud's position: something between is missing
//   PRIMARY_CHANGED     system identifier or timeline are not those of the progress row
//   NOT_SET_UP          the cloud has no progress row for this slot
//   SEED_UNFINISHED     the progress row is in state seeding
//   PROMOTED            the cloud is a primary itself by now (ops promote)
//   RELAY_STOPPED       the progress row is in state stopped; acquire sets it following again
//   SCHEMA_MISMATCH     a table of the cloud does not fit what the slot sends; the message lists each difference
//   TABLE_NOT_PUBLISHED the batch speaks of a table that is not on the list of published tables
//   DUPLICATE_KEY       somebody else wrote this key in the cloud
//   POISON_ROW          the cloud refuses a row
//   BATCH_DAMAGED       begin, changes and commit do not fit together, or a part is missing
//   PGOUTPUT_DAMAGED    from the decoder
//   CLOUD_FORBIDS       the role that applies lacks a right
// Everything else is the driver's own error, by its SQLSTATE or socket code; a server that stays silent is an
// error with code ETIMEDOUT, and an abort is the signal's reason.

/** What an error of Postgres says besides its message, which may repeat values of a row. */
export interface DatabaseFault {
  code: string
  table: string | undefined
  column: string | undefined
  constraint: string | undefined
  message: string
  /** what the driver threw */
  cause: unknown
}

/** What the server said about one statement; undefined for a connection that broke and for our own errors. */
export function databaseFault(error: unknown): DatabaseFault | undefined {
  const code = errorCode(error)
  if (error instanceof HomeportError || code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return undefined
  const fields = error as { severity?: string; table?: string; column?: string; constraint?: string }
  // The server also ends sessions with an error; what it says to a statement is an ERROR.
  if (fields.severity !== 'ERROR') return undefined
  const { table, column, constraint } = fields
  const message = error instanceof Error ? error.message : String(error)
  return { code, table, column, constraint, message, cause: error }
}

/** A statement that wrote nothing where it should have written a row, as the server's own refusal. */
export function keptBack(table: string): DatabaseFault {
  const message = 'a trigger or rule in the cloud keeps the row from being written'
  return {
    code: '02000',
    table,
    column: undefined,
    constraint: undefined,
    message,
    cause: new Error(message),
  }
}

/**
 * Whether an error of a statement belongs to the row or the table it touched, so that it comes again with every
 * repetition; the others (locks, deadlocks, resources, an operator) pass.
 */
export function isLasting(fault: DatabaseFault): boolean {
  return !/^(?:25|40|53|55|57|58|XX)/.test(fault.code)
}

/**
 * Whether an error is about the values of one row: data (22), a constraint (23), a view's check (44), a type,
 * a limit of an index (54), what a trigger raised (P0) or kept back (02), or bytes that are no value of the
 * column's type (08P01).
 */
export function isPoison(fault: DatabaseFault): boolean {
  return /^(?:02|22|23|44|54|P0|42804|08P01)/.test(fault.code)
}

const setUp = 'ops setup-replication --mode relay'
const reseed = 'ops reseed'

export function notSetUp(slot: string): HomeportError {
  return new HomeportError('NOT_SET_UP', `the cloud has no record of a relay that reads slot ${slot}`, {
    hint: `${setUp}; if there was one, the cloud was restored to an older state: ${reseed}`,
  })
}

export function fenced(slot: string, holderName: string | null): HomeportError {
  const who = holderName === null ? 'another relay' : `another relay (${holderName})`
  return new HomeportError('RELAY_FENCED', `${who} has taken over slot ${slot}`, {
    hint: 'stop one of the two; ops status names the one that holds the lease',
  })
}

/** What every relay of an old primary is told, and every setup that would write over the new one. */
export function promoted(slot: string, exitCode: ExitCode = 1): HomeportError {
  return new HomeportError(
    'PROMOTED',
    `this cloud was promoted: it is a primary of its own now, and takes nothing from slot ${slot} any more`,
    {
      hint: 'ingest with LOCAL_DATABASE_URL set to it; a database that is to follow it: ops setup-replication from there',
      exitCode,
    },
  )
}

export function damagedBatch(problem: string): HomeportError {
  return new HomeportError('BATCH_DAMAGED', `a batch does not fit together: ${problem}`, {
    hint: 'run ops relay again: it asks the slot for the same transactions once more',
  })
}

export function notPublished(table: string): HomeportError {
  return new HomeportError('TABLE_NOT_PUBLISHED', `the slot sends ${table}, which is not a published table`, {
    hint: `${setUp} brings the publication in step`,
  })
}

export function forbidden(fault: DatabaseFault): HomeportError {
  return new HomeportError(
    'CLOUD_FORBIDS',
    `the role that applies lacks a right in the cloud: ${fault.message}`,
    {
      hint: `${setUp} grants it`,
    },
  )
}

/** What a person does about schemas that do not fit: each difference has its statement. */
export const schemaHint =
  'run on the cloud what stands behind each, then ops relay again; after an update of Homeport: ops migrate; ops schema diff lists everything'

/** And about a primary that sends rows without their key: nothing says which rows of the cloud they are. */
export const keyHint =
  'ops schema diff says how the key comes back on the primary; then ops reseed: what was written without it cannot be applied'

/** `differences` are whole sentences without a full stop. */
export function schemaMismatch(differences: readonly string[], hint = schemaHint): HomeportError {
  return new HomeportError(
    'SCHEMA_MISMATCH',
    `the cloud's tables do not fit what the primary sends:\n${differences.map((one) => `  ${one}`).join('\n')}`,
    { hint },
  )
}

/** `row` names a row by its table and key. */
export function duplicateKey(row: string, fault: DatabaseFault): HomeportError {
  return new HomeportError(
    'DUPLICATE_KEY',
    `${row} cannot be written: the cloud has another row with this key (${fault.constraint ?? 'a unique index'}), ` +
      'which the relay did not write',
    { hint: 'look at the row in the cloud; delete it there if nobody needs it, and start ops relay again' },
  )
}

/** Names the row, never its values. */
export function poisonRow(row: string, position: string, fault: DatabaseFault): HomeportError {
  const by = fault.constraint === undefined ? '' : `, constraint ${fault.constraint}`
  return new HomeportError(
    'POISON_ROW',
    `the cloud refuses ${row} in the transaction committed at ${position}: SQLSTATE ${fault.code}${by}`,
    {
      hint: 'remove what refuses it in the cloud and start ops relay again; ops relay --quarantine puts it aside',
    },
  )
}
