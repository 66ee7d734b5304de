import { failpoint } from '../../../core/failpoint.ts'
import type { Batch } from '../batch.ts'
import { ChangeReader } from './change-reader.ts'
import { isLenient } from './choose-statement.ts'
import { databaseFault, isLasting } from './errors.ts'
import { Flight } from './flight.ts'
import { FlightSink } from './flight-sink.ts'
import { isAsAssumed, judgeChain, type LockedProgress } from './progress.ts'
import { RunPlanner } from './run-planner.ts'
import type { CloudTableFacts } from './schema.ts'
import { openTransaction, readCloudTables, requireSchema, type ApplyContext } from './transaction.ts'

/** What is taken for granted of the cloud until its answer comes. */
export interface Assumption {
  skipThrough: bigint
  settled: ReadonlyMap<string, bigint>
  copied: ReadonlyMap<string, bigint>
}

export type Attempt =
  /** everything is written as it should be, and waits for the COMMIT */
  | { kind: 'ready'; reader: ChangeReader }
  | { kind: 'duplicate'; locked: LockedProgress }
  /** the cloud is not as assumed, but so */
  | { kind: 'otherwise'; assumption: Assumption }
  /** something was refused, or a row was not found: to be looked at one by one */
  | { kind: 'uneven' }

/**
 * Writes a whole batch in one flight, assuming that the cloud is where the batch begins and that every statement
 * finds its row: one round trip, and nothing is committed. After anything but `ready` the transaction is to be
 * rolled back.
 *
 * @throws HomeportError the stops of judgeChain, ChangeReader and the schema; errors of the server that pass, and
 * of the connection.
 */
export async function attempt(context: ApplyContext, batch: Batch, assumption: Assumption): Promise<Attempt> {
  const flight = await Flight.open(context.session, context.flight)
  const { after, end } = batch
  const { skipThrough, copied } = assumption
  const reader = new ChangeReader({ after, end, skipThrough, copied, tables: context.tables })
  const sink = new FlightSink(flight, assumption.settled)
  let locked: LockedProgress | null | undefined
  let cloudTables: CloudTableFacts[] = []
  let error: unknown
  try {
    openTransaction(flight, context).then(
      (found) => (locked = found),
      () => undefined,
    )
    const isInVain = (): boolean =>
      flight.hasFailed || sink.isUneven || judge(context, assumption, reader, locked) !== null
    if (await writeChanges({ flight, batch, reader, sink, assumption, isInVain })) {
      const tables = readCloudTables(flight, reader.shapes)
      tables.catch(() => undefined)
      await flight.land()
      cloudTables = await tables
    }
  } catch (thrown) {
    error = thrown
  } finally {
    await flight.abandon()
  }
  // What the cloud says of itself comes first: changes that it has already can only fail.
  const judged = judge(context, assumption, reader, locked)
  if (judged !== null) return judged
  error ??= flight.error
  if (error !== undefined) {
    const fault = databaseFault(error)
    if (locked === undefined || fault === undefined || !isLasting(fault)) throw error as Error
    return { kind: 'uneven' }
  }
  if (sink.isUneven) return { kind: 'uneven' }
  await requireSchema(context, reader.shapes, cloudTables)
  return { kind: 'ready', reader }
}

interface Writing {
  flight: Flight
  batch: Batch
  reader: ChangeReader
  sink: FlightSink
  assumption: Assumption
  isInVain: () => boolean
}

/** False when it ended before its end, because nothing could come of it. */
async function writeChanges({
  flight,
  batch,
  reader,
  sink,
  assumption,
  isInVain,
}: Writing): Promise<boolean> {
  const planner = new RunPlanner(sink, (change) => isLenient(change, assumption.settled))
  let isUnderWay = false
  const passFirstRun = async (): Promise<void> => {
    isUnderWay = true
    flight.push()
    await failpoint('relay.mid-batch')
  }
  for await (const part of batch.parts()) {
    for (const change of reader.read(part)) {
      // It needs rows of the primary.
      if (change.kind === 'repair') {
        sink.isUneven = true
        return false
      }
      planner.add(change)
      if (!isUnderWay && planner.runs > 0) await passFirstRun()
      if (!flight.isFull) continue
      await flight.move()
      if (isInVain()) return false
    }
  }
  reader.end()
  planner.end()
  if (!isUnderWay && planner.runs > 0) await passFirstRun()
  return !isInVain()
}

/** What the cloud's answer means for the attempt; null while it has not come, and when it is as assumed. */
function judge(
  context: ApplyContext,
  assumption: Assumption,
  reader: ChangeReader,
  locked: LockedProgress | null | undefined,
): Attempt | null {
  if (locked === undefined || reader.header === null) return null
  const verdict = judgeChain(locked, context.lease, reader.header)
  if (locked === null) return null
  if (verdict.kind === 'duplicate') return { kind: 'duplicate', locked }
  if (isAsAssumed(assumption, verdict, locked)) return null
  return {
    kind: 'otherwise',
    assumption: { skipThrough: verdict.skipThrough, settled: locked.settled, copied: locked.copied },
  }
}
