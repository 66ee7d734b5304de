import { failpoint } from '../../../core/failpoint.ts'
import type { Batch } from '../batch.ts'
import type { ApplyOptions, NeedRows } from '../cloud-link.ts'
import { CarefulWriter } from './careful-writer.ts'
import { ChangeReader, type RowChange } from './change-reader.ts'
import { damagedBatch } from './errors.ts'
import { judgeChain, type LockedProgress } from './progress.ts'
import { truncateStatement } from './table-shape.ts'
import {
  inOneFlight,
  openTransaction,
  readCloudTables,
  requireSchema,
  type ApplyContext,
} from './transaction.ts'

export type CarefulOutcome =
  | { kind: 'ready'; reader: ChangeReader; resolved: number; quarantined: number }
  | { kind: 'duplicate'; locked: LockedProgress }
  | NeedRows

/** Rows that are written between two answers. */
const chunkRows = 500
const chunkBytes = 4 << 20
/** More rows than this are asked for in another round. */
const maxRequests = 5_000

/**
 * Writes a batch in small steps, each of them checked before the next, so that every row that does not fit is found and
 * dealt with in its place. Nothing is committed. After anything but `ready` the transaction is to be rolled back.
 *
 * @throws HomeportError every stop of errors.ts; errors of the server that pass, and of the connection.
 */
export async function applyCarefully(
  context: ApplyContext,
  batch: Batch,
  options: Pick<ApplyOptions, 'quarantine' | 'fetched'>,
): Promise<CarefulOutcome> {
  const locked = await inOneFlight(context, (flight) => openTransaction(flight, context))
  let reader: ChangeReader | null = null
  const writer = new CarefulWriter(context, { ...options, settled: locked?.settled ?? new Map() })
  let chunk: RowChange[] = []
  let bytes = 0
  const write = async (): Promise<void> => {
    if (reader !== null) await writer.describe(reader.shapes)
    await writer.write(chunk)
    chunk = []
    bytes = 0
  }
  for await (const part of batch.parts()) {
    if (reader === null) {
      const verdict = judgeChain(locked, context.lease, part.header)
      if (locked !== null && verdict.kind === 'duplicate') return { kind: 'duplicate', locked }
      const skipThrough = verdict.kind === 'apply' ? verdict.skipThrough : 0n
      reader = new ChangeReader({
        after: batch.after,
        end: batch.end,
        skipThrough,
        copied: locked?.copied ?? new Map(),
        tables: context.tables,
      })
    }
    for (const change of reader.read(part)) {
      if (change.kind === 'truncate') {
        await write()
        const statement = truncateStatement(change.tables, change.restartIdentity)
        await inOneFlight(context, async (flight) => flight.statement(statement, [], () => undefined))
        continue
      }
      if (change.kind === 'repair') {
        await write()
        await writer.repair(change)
        continue
      }
      chunk.push(change)
      bytes += sizeOf(change)
      if (chunk.length < chunkRows && bytes < chunkBytes) continue
      await write()
      await failpoint('relay.mid-batch')
      if (writer.wantedRows >= maxRequests) return writer.needRows()
    }
  }
  if (reader === null) throw damagedBatch('it has no parts')
  reader.end()
  await write()
  if (writer.wantedRows > 0) return writer.needRows()
  const { shapes } = reader
  await requireSchema(
    context,
    shapes,
    await inOneFlight(context, (flight) => readCloudTables(flight, shapes)),
  )
  return { kind: 'ready', reader, resolved: writer.resolved, quarantined: writer.quarantined }
}

function sizeOf({ old, row }: RowChange): number {
  let bytes = 0
  for (const tuple of [old, row]) for (const value of tuple?.values ?? []) bytes += value?.length ?? 0
  return bytes
}
