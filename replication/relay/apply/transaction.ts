import type pg from 'pg'
import type { PublishedTable } from '../../../core/published-tables.ts'
import { loadSql } from '../../../core/sql.ts'
import type { Lease, Progress } from '../cloud-link.ts'
import { fenced, schemaMismatch } from './errors.ts'
import { Flight, type FlightOptions } from './flight.ts'
import { readLockedProgress, readProgressRow, type LockedProgress } from './progress.ts'
import {
  compareSchema,
  describeDifference,
  unnamedTypes,
  type CloudTableFacts,
  type SchemaDifference,
} from './schema.ts'
import type { TableShape } from './table-shape.ts'

/** What one batch is applied with. */
export interface ApplyContext {
  session: pg.ClientBase
  lease: Lease
  flight: FlightOptions
  lockTimeoutMs: number
  statementTimeoutMs: number
  tables: readonly PublishedTable[]
  /** whose failpoints are passed */
  side: 'relay' | 'gateway'
}

const ignore = (): void => undefined

export const applySides = ['relay', 'gateway'] as const

/**
 * What sessions that apply a slot's batches are called, cut to what Postgres keeps. Each way has its own name, and
 * ends only what it left behind itself.
 */
export function applyName(side: (typeof applySides)[number], slot: string): string {
  return `homeport ${side} applies ${slot}`.slice(0, 63)
}

/** Begins the transaction of a batch and locks the progress row: who comes second waits, and then sees the new one. */
export function openTransaction(flight: Flight, context: ApplyContext): Promise<LockedProgress | null> {
  const { lease, lockTimeoutMs, statementTimeoutMs } = context
  flight.statement(loadSql('relay/begin'), [], ignore)
  const settings = [`${lockTimeoutMs}ms`, `${statementTimeoutMs}ms`, applyName(context.side, lease.slot)]
  flight.statement(loadSql('relay/settings'), settings, ignore)
  const answer = flight
    .rows(loadSql('relay/lock-progress'), [lease.slot])
    .then(([row]) => readLockedProgress(row))
  answer.catch(ignore)
  flight.push()
  return answer
}

/** The tables as they are once this transaction has written to them: nobody can alter them until its end. */
export async function readCloudTables(
  flight: Flight,
  shapes: Iterable<TableShape>,
): Promise<CloudTableFacts[]> {
  const names = new Set([...shapes].map((shape) => shape.name))
  const [row] = await flight.rows(loadSql('relay/cloud-tables'), [`{${[...names].join(',')}}`])
  return JSON.parse(row?.['tables'] ?? '[]') as CloudTableFacts[]
}

/** @throws HomeportError SCHEMA_MISMATCH with every difference. */
export async function requireSchema(
  context: ApplyContext,
  shapes: Iterable<TableShape>,
  cloudTables: readonly CloudTableFacts[],
): Promise<void> {
  const differences = compareSchema(shapes, cloudTables)
  if (differences.length === 0) return
  throw schemaMismatch(await describe(context, differences))
}

async function describe(context: ApplyContext, differences: readonly SchemaDifference[]): Promise<string[]> {
  const unnamed = unnamedTypes(differences)
  const names = await inOneFlight(context, (flight) =>
    flight.rows(loadSql('relay/type-names'), [
      `{${unnamed.map((column) => column.typeOid).join(',')}}`,
      `{${unnamed.map((column) => column.typeModifier).join(',')}}`,
    ]),
  )
  const sentences = differences.map((difference) =>
    describeDifference(difference, (column) => names[unnamed.indexOf(column)]?.['name'] ?? 'another type'),
  )
  return [...new Set(sentences)]
}

/** A flight of its own for one question. */
export async function inOneFlight<T>(context: ApplyContext, ask: (flight: Flight) => Promise<T>): Promise<T> {
  const flight = await Flight.open(context.session, context.flight)
  const answer = ask(flight)
  answer.catch(ignore)
  await flight.land()
  return answer
}

/**
 * The progress of the batch and its COMMIT. When this throws, only the progress row can tell whether the COMMIT
 * took place.
 */
export async function commit(
  context: ApplyContext,
  at: { commitLsn: string; endLsn: string },
): Promise<Progress> {
  const { lease } = context
  let tag = ''
  const row = await inOneFlight(context, async (flight) => {
    const progress = flight.rows(loadSql('relay/advance-progress'), [lease.slot, at.commitLsn, at.endLsn])
    flight.statement('commit', [], (_, answer) => (tag = answer))
    return (await progress)[0]
  })
  // Locked since the beginning, so it can only have gone with a transaction that was broken before.
  if (row === undefined || tag !== 'COMMIT') throw fenced(lease.slot, null)
  return readProgressRow(row)
}

/** Statements without an answer. */
export async function runPlain(context: ApplyContext, ...statements: readonly string[]): Promise<void> {
  await inOneFlight(context, async (flight) => {
    for (const statement of statements) flight.statement(statement, [], ignore)
  })
}

/** Ends a transaction without effect. Where the connection is gone, the server does the same by itself. */
export async function rollBack({ session, flight: { silenceMs } }: ApplyContext): Promise<void> {
  const flight = await Flight.open(session, { silenceMs }).catch(ignore)
  flight?.statement('rollback', [], ignore)
  await flight?.abandon()
}
