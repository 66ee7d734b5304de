import { HomeportError } from '../../core/errors.ts'
import type { Queryable } from '../../core/db.ts'
import { parseLsn } from '../../core/lsn.ts'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { loadSql } from '../../core/sql.ts'
import { cutTable } from './boundaries.ts'
import { compareChangedRows } from './changed-rows.ts'
import { judgeFindings, nothingFound, type TableFindings } from './findings.ts'
import type { IncrementalOptions, IncrementalRunOptions, IncrementalVerification } from './incremental.ts'
import { needsFull, nextKnown, pieceRows, signatureOf, type KnownTable, type Storage } from './known-table.ts'
import { startMeter, type Meter } from './progress.ts'
import { recordVerdicts } from './record.ts'
import { followRounds } from './rounds.ts'
import { readSubjects, type Subject } from './subjects.ts'
import type { TouchSlot } from './touch-slot.ts'
import { defaultMaxDifferences, lookAtAll } from './verify-exact.ts'
import type { Window } from './window.ts'

/** What a run that ended well leaves for the next. */
export interface Proof {
  /** tells of every write on the primary since the run's moment there */
  watch: TouchSlot
  /** tables that were proven then, but for rows that were being written */
  tables: ReadonlyMap<string, KnownTable>
  /** rows of a chunk that took as long as one should */
  chunkRows: number
}

type Options = IncrementalOptions & IncrementalRunOptions

/**
 * One run, that builds on what an earlier one has proven. Gives the proof for the next, or null when the cloud was
 * behind; closing the watch of either is the caller's.
 */
export async function runIncremental(
  options: Options,
  before: Proof | null,
): Promise<{ results: IncrementalVerification[]; proof: Proof | null }> {
  const tables = options.tables ?? publishedTables
  const { subjects, broken } = await readSubjects(options, tables)
  const paced = before === null ? options : { ...options, firstRows: before.chunkRows }
  const meter = await startMeter(paced, subjects, before === null ? 1 : shareOf(options))
  const run = new Run(options, before, meter)
  for (const { table, reason } of broken) run.finish(table, { ...nothingFound, reason })
  try {
    await run.follow(subjects)
    const results = tables.flatMap((table) => run.results.get(table.name) ?? [])
    if (options.record ?? true) await recordVerdicts(options, results)
    return { results, proof: run.takeProof() }
  } finally {
    await run.close()
  }
}

function shareOf(options: Options): number {
  return options.shareOfRest ?? 1 / 32
}

class Run {
  readonly results = new Map<string, IncrementalVerification>()
  readonly #options: Options & { maxDifferences: number }
  readonly #meter: Meter
  readonly #looked = new Map<string, { known: Omit<KnownTable, 'rows'>; comparedRows: number | null }>()
  readonly #known = new Map<string, KnownTable>()
  #before: Proof | null
  #watch: TouchSlot | null = null
  #hasPassed = false
  #storage: { primary: Storage; cloud: Storage } = { primary: new Map(), cloud: new Map() }

  constructor(options: Options, before: Proof | null, meter: Meter) {
    this.#options = { ...options, maxDifferences: options.maxDifferences ?? defaultMaxDifferences }
    this.#before = before
    this.#meter = meter
  }

  async follow(subjects: readonly Subject[]): Promise<void> {
    const isHeartbeat = ({ table }: Subject): boolean => table.name === 'heartbeat'
    const finish = this.finish.bind(this)
    await followRounds({
      ...this.#options,
      subjects: subjects.filter((subject) => !isHeartbeat(subject)),
      withBeat: true,
      keepSlot: true,
      onFirst: (window) => this.#begin(window, subjects),
      look: (window, subject, round) => this.#look(window, subject, round),
      finish,
    })
    // One row, which the marker of the others writes: looked at in full, behind a fence that does not write it.
    await followRounds({
      ...this.#options,
      subjects: subjects.filter(isHeartbeat),
      withBeat: false,
      look: (window, subject) => lookAtAll(this.#options, this.#meter, window, subject),
      finish,
    })
  }

  finish(table: PublishedTable, findings: TableFindings): void {
    const judged = judgeFindings(table.name, findings)
    const looked = this.#looked.get(table.name)
    const comparedRows = looked?.comparedRows ?? Math.max(judged.primaryRows, judged.cloudRows)
    const result = { ...judged, isFull: (looked?.comparedRows ?? null) === null, comparedRows }
    this.results.set(table.name, result)
    this.#options.onTable?.(result)
    const known = looked === undefined ? null : nextKnown(looked.known, findings)
    if (known !== null) this.#known.set(table.name, known)
  }

  /** From then on the watch is the caller's. */
  takeProof(): Proof | null {
    const watch = this.#watch
    // Rows that were the same on a cloud that was behind may be about to change there.
    if (watch === null || !this.#hasPassed) return null
    this.#watch = null
    return { watch, tables: this.#known, chunkRows: this.#meter.throttle.rows }
  }

  async close(): Promise<void> {
    await this.#watch?.close()
  }

  async #begin(window: Window, subjects: readonly Subject[]): Promise<void> {
    this.#watch = window.slot
    this.#hasPassed = window.fence.passed
    const names = subjects.map(({ table }) => table.name)
    const [primary, cloud] = await Promise.all([
      readStorage(window.primary.client, names),
      readStorage(window.cloud.client, names),
    ])
    this.#storage = { primary, cloud }
    try {
      await this.#before?.watch.readUntil(window.lsn, this.#options.signal)
    } catch (error) {
      if (!(error instanceof HomeportError && error.code === 'TOUCHED_UNKNOWN')) throw error
      // A hole in what it tells: nothing is known any more, and every table is compared in full.
      this.#before = null
    }
  }

  async #look(window: Window, subject: Subject, round: number): Promise<TableFindings> {
    const { name } = subject.table
    const signature = signatureOf(subject, this.#storage.primary, this.#storage.cloud)
    // A later round has a later moment, and comes only after all of the table stayed open.
    const before = round === 1 ? this.#before : null
    const known = before?.tables.get(name)
    const until = parseLsn(window.lsn)
    const touched = before?.watch.touched.keysBefore(name, until) ?? []
    const isWholeTouched = before?.watch.touched.isWholeTouched(name, until) ?? true
    const now = { signature, isWholeTouched, touchedKeys: touched.length }
    if (known === undefined || needsFull(known, now)) return this.#lookInFull(window, subject, signature)
    const { findings, comparedRows } = await compareChangedRows({
      ...this.#options,
      window,
      subject,
      known,
      touched,
      throttle: this.#meter.throttle,
      onRows: (rows) => this.#meter.onRows(name, rows),
    })
    const next = (known.next + 1) % (known.cuts.length + 1)
    this.#looked.set(name, { known: { ...known, next }, comparedRows })
    return findings
  }

  async #lookInFull(window: Window, subject: Subject, signature: string): Promise<TableFindings> {
    const findings = await lookAtAll(this.#options, this.#meter, window, subject)
    const rowsWhenCut = findings.primaryRows
    const step = pieceRows(rowsWhenCut, shareOf(this.#options))
    const cuts = await cutTable(window.primary.client, subject.primarySql, step, this.#options.signal)
    const known = { signature, cuts, rowsWhenCut, next: 0 }
    this.#looked.set(subject.table.name, { known, comparedRows: null })
    return findings
  }
}

async function readStorage(db: Queryable, names: readonly string[]): Promise<Storage> {
  const { rows } = await db.query<{ table: string; storage: string }>(loadSql('verify/table-storage'), [
    names,
  ])
  return new Map(rows.map((row) => [row.table, row.storage]))
}
