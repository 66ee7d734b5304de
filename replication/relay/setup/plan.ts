import { publicationName, type PublishedTable } from '../../../core/published-tables.ts'
import { fragment, identifier, joinSql, renderSql } from '../../../core/sql.ts'
import { planPublication } from '../../publication.ts'
import { planPublicRights, planReaderRole, planReplicationRole } from '../../roles.ts'
import type { Step } from '../../step.ts'
import { planDroppedKeys } from './foreign-keys.ts'
import type { RelaySituation } from './situation.ts'
import { planWriteRole } from './write-roles.ts'

/** Where the relay asks ingest to wait; the migrations make it. */
const pauseTable = 'ingest_pause'

/** Everything that statements can put right, in order; the copy comes after them. */
export function planRelaySetup(situation: RelaySituation, tables: readonly PublishedTable[]): Step[] {
  const { primary, cloud, writers, replicaRight } = situation
  const names = tables.map((table) => table.name)
  const setsReplica = (role: string): boolean => replicaRight.mayGrant || replicaRight.holders.includes(role)
  const everyWriterMay = writers.every((writer) => setsReplica(writer.credentials.role))
  return [
    ...planReplicationRole({
      ...situation.replicator,
      state: situation.replicatorState,
      tables: [...names, pauseTable],
      // The relay reads with this role, and asks ingest to wait.
      writableTables: [pauseTable],
      pgvectorSchema: primary.facts.pgvectorSchema,
    }),
    ...planReaderRole({
      ...situation.reader,
      state: situation.readerState,
      tables: names,
      pgvectorSchema: cloud.facts.pgvectorSchema,
    }),
    ...writers.flatMap((role) =>
      planWriteRole({
        role,
        cloud: cloud.facts,
        tables: names,
        setsReplica: setsReplica(role.credentials.role),
        mayGrantSettings: replicaRight.mayGrant,
      }),
    ),
    ...planPublicRights(situation.publicRights, cloud.facts),
    ...planPublication(publicationName, tables, situation.publication),
    ...(everyWriterMay ? [] : planDroppedKeys(situation.foreignKeys)),
  ]
}

/** What the copy does, as statements to read: it is not run from here. */
export function describeSeed(situation: RelaySituation, tables: readonly PublishedTable[]): Step[] {
  const { work, slot } = situation
  if (work === null) return []
  const wanted = work.kind === 'tables' ? tables.filter((table) => work.tables.includes(table.name)) : tables
  const emptied = work.kind === 'start' ? work.empty : work.kind === 'tables' ? work.tables : []
  const named = { slot: identifier(slot) }
  const temporary = { slot: fragment('TEMPORARY_NAME') }
  const slotStep: Step =
    work.kind === 'start'
      ? {
          side: 'primary',
          what: 'keep what the cloud has not taken yet, and export a snapshot of this moment',
          sql: renderSql('relay/create-replication-slot', named),
        }
      : {
          side: 'primary',
          what: 'export a snapshot of this moment',
          sql: renderSql('relay/create-temporary-slot', temporary),
        }
  const publicNames = joinSql(emptied.map((name) => fragment(`public.${identifier(name).sql}`)))
  return [
    slotStep,
    ...(emptied.length === 0
      ? []
      : [
          {
            side: 'cloud' as const,
            what: 'empty what an earlier copy left',
            sql: renderSql('relay/seed-truncate', { tables: publicNames }),
          },
        ]),
    ...wanted.map((table): Step => ({
      side: 'cloud',
      what: `copy ${table.name}${table.filter === undefined ? '' : `, where ${table.filter}`}`,
      sql: renderSql('relay/seed-copy-in', {
        table: identifier(table.name),
        columns: joinSql(table.columns.map(identifier)),
      }),
    })),
  ]
}
