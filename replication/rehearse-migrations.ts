import type pg from 'pg'
import { connect } from '../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'
import {
  compareMigrations,
  listMigrations,
  migrationsTable,
  prepareSession,
  readMigration,
  tableWaitMs,
} from '../core/migrate.ts'
import {
  blockedHint,
  describeTableUsers,
  explainMigrationError,
  isBlocked,
} from '../core/migration-errors.ts'
import { takeMigrationLock, type MigrationLockOptions } from '../core/migration-lock.ts'
import { publishedTables } from '../core/published-tables.ts'
import { identifier } from '../core/sql.ts'
import type { Side } from './finding.ts'
import { planMigrationSteps, type MigrationStep } from './migration-steps.ts'
import { compareColumns } from './schema-columns.ts'
import { compareRules } from './schema-constraints.ts'
import { describeFix, plainName, type SchemaDifference } from './schema-difference.ts'
import { readSchemaFacts, type SchemaFacts } from './schema-facts.ts'
import { compareTables } from './schema-tables.ts'
import type { ServerUrls } from './servers.ts'
import type { ReplicationMode } from './settings-verdicts.ts'

export interface RehearsalOptions extends ServerUrls, Omit<MigrationLockOptions, 'connectionString'> {
  folder: string
  mode: ReplicationMode | null
  /** how long a table may be in use by others (default 15 s) */
  lockTimeoutMs?: number
}

type Sessions = Readonly<Record<Side, pg.Client>>

/**
 * Tries the missing migrations on both servers, in their order, in two transactions that are rolled back, and compares
 * the schemas after every step. So nothing is applied on one side that fails on the other, or that would stop
 * replication there.
 *
 * @throws HomeportError MIGRATION_COLLIDES or MIGRATION_WOULD_STOP, exit 2; MIGRATION_BLOCKED; MIGRATION_RUNS; what
 * migrate throws.
 */
export async function rehearseMigrations(options: RehearsalOptions): Promise<void> {
  const opened: pg.Client[] = []
  try {
    // In one order for all, so that two never wait for each other.
    const cloud = await openRehearsal(options.cloudUrl, options, opened)
    const primary = await openRehearsal(options.primaryUrl, options, opened)
    const sessions = { primary, cloud }
    const names = listMigrations(options.folder)
    const missing = {
      cloud: compareMigrations(await readApplied(cloud), names).missing,
      primary: compareMigrations(await readApplied(primary), names).missing,
    }
    const known = new Set((await stoppers(sessions, options.mode)).map(nameOf))
    let stop: HomeportError | undefined
    for (const step of planMigrationSteps(names, missing)) {
      await applyStep(step, sessions, options)
      const [found] = (await stoppers(sessions, options.mode)).filter((one) => !known.has(nameOf(one)))
      if (found !== undefined) stop ??= wouldStop(step, found)
    }
    // One that cannot be applied at all says more, and so comes first.
    if (stop !== undefined) throw stop
  } finally {
    // The end of a session rolls its transaction back.
    await Promise.all(opened.map((client) => client.end()))
  }
}

async function openRehearsal(
  connectionString: string,
  options: RehearsalOptions,
  opened: pg.Client[],
): Promise<pg.Client> {
  const client = await connect({ connectionString, applicationName: 'homeport migrate' })
  opened.push(client)
  await prepareSession(client, options.lockTimeoutMs ?? tableWaitMs)
  await client.query('begin')
  await takeMigrationLock(client, { ...options, connectionString })
  return client
}

async function readApplied(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ present: boolean }>('select to_regclass($1) is not null as present', [
    `public.${migrationsTable}`,
  ])
  if (rows[0]?.present !== true) return []
  const applied = await client.query<{ name: string }>(
    `select name from public.${identifier(migrationsTable).sql}`,
  )
  return applied.rows.map((row) => row.name)
}

async function applyStep(step: MigrationStep, sessions: Sessions, options: RehearsalOptions): Promise<void> {
  for (const name of step.names) {
    const client = sessions[step.side]
    await client.query('savepoint rehearsal')
    try {
      await client.query(readMigration(name, options.folder))
    } catch (error) {
      await client.query('rollback to savepoint rehearsal')
      throw await explainFailure({ error, name, side: step.side, client, options })
    }
  }
}

/** What would stop replication as the two transactions see the schemas. */
async function stoppers(
  { primary, cloud }: Sessions,
  mode: ReplicationMode | null,
): Promise<SchemaDifference[]> {
  const ours = await readSchemaFacts(primary, publishedTables)
  const theirs = await readSchemaFacts(cloud, publishedTables)
  return publishedTables
    .flatMap((table) => compareTable(table, ours, theirs, mode))
    .filter((one) => one.effect === 'stopsLater')
}

function compareTable(
  table: (typeof publishedTables)[number],
  ours: SchemaFacts,
  theirs: SchemaFacts,
  mode: ReplicationMode | null,
): SchemaDifference[] {
  const primary = ours.tables.get(table.name)
  const cloud = theirs.tables.get(table.name)
  const whole = compareTables(table, primary, cloud)
  if (primary === undefined || cloud === undefined) return whole
  const rules = compareRules(table.name, ours, theirs, { mode, isOurs: () => false })
  return [...whole, ...compareColumns(table, primary, cloud), ...rules]
}

function nameOf({ code, side, table, message }: SchemaDifference): string {
  return [code, side, table, message].join('|')
}

function wouldStop({ side, names }: MigrationStep, found: SchemaDifference): HomeportError {
  const message = `${names.join(', ')} on the ${side} would stop replication: ${found.message}`
  const hint = `${describeFix(found.fix)}; then ops migrate again (a migration that takes something away is named *.contract.sql)`
  return new HomeportError('MIGRATION_WOULD_STOP', `nothing was changed: ${message}`, { hint, exitCode: 2 })
}

interface Failure {
  error: unknown
  name: string
  side: Side
  client: pg.Client
  options: RehearsalOptions
}

async function explainFailure({ error, name, side, client, options }: Failure): Promise<HomeportError> {
  const url = side === 'cloud' ? options.cloudUrl : options.primaryUrl
  const code = errorCode(error)
  if (isBlocked(error)) {
    const users = await describeTableUsers(client, options.lockTimeoutMs ?? tableWaitMs)
    const by = users === null ? '' : ` by ${users}`
    const message = `nothing was changed: a table that ${name} alters is in use on the ${side}${by}`
    return new HomeportError('MIGRATION_BLOCKED', message, { hint: blockedHint, cause: error })
  }
  // 42701 column, 42P07 table or index, 42710 constraint or trigger, 42723 function.
  if (!['42701', '42P07', '42710', '42723'].includes(code ?? ''))
    return explainMigrationError(error, url, name)
  const [first, second] = quotedNames(errorMessage(error))
  const column = code === '42701' && second !== undefined ? await typeOf(client, second, first) : null
  const what = column === null ? (first ?? 'something') : `${second}.${first} (${column})`
  const message = `nothing was changed: ${name} cannot be applied on the ${side}, which has ${what} already: it was made by hand`
  const hint = `${hintFor(side, code, first, second)}; then ops migrate again`
  return new HomeportError('MIGRATION_COLLIDES', message, { hint, exitCode: 2, cause: error })
}

function hintFor(side: Side, code: string | undefined, first = 'NAME', second?: string): string {
  const name = plainName(first)
  if (code === '42701' && second !== undefined) {
    const table = `alter table ${plainName(second)}`
    return `on the ${side}: ${table} drop column ${name}  (to keep what is in it: ${table} rename column ${name} to ${plainName(`${first}_old`)})`
  }
  if (code === '42P07') return `on the ${side}: alter table ${name} rename to ${plainName(`${first}_old`)}`
  return `on the ${side}: drop ${name}`
}

/** The names that a message of Postgres puts in quotes, of whichever language. */
function quotedNames(message: string): string[] {
  return [...message.matchAll(/["«„“]\s*([^"»“”]+?)\s*["»“”]/g)].map((match) => match[1] ?? '')
}

async function typeOf(client: pg.Client, table: string, column: string | undefined): Promise<string | null> {
  const facts = await readSchemaFacts(client, [{ name: table, key: ['id'], columns: ['id'] }])
  return facts.tables.get(table)?.columns.find((one) => one.column === column)?.type ?? null
}
