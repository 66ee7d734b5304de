import { failpoint } from '../../core/failpoint.ts'
import { cutChunk, type Chunk } from './boundaries.ts'
import type { TableCheckpoint } from './checkpoint.ts'
import type { Candidate } from './find-differences.ts'
import { defaultLeafRows, drillDown } from './find-differences.ts'
import { nothingFound, type TableFindings } from './findings.ts'
import { rangesBesides } from './key-order.ts'
import type { Throttle } from './pace.ts'
import { differingColumns, type Difference } from './prove.ts'
import { isReplaced } from './replaced-table.ts'
import { wholeTable, type Key, type KeyRange } from './row-hash.ts'
import type { Subject } from './subjects.ts'
import { hashRanges, readRowsByKey, sameBucket, type BucketHash } from './table-hash.ts'
import type { Window } from './window.ts'

export interface CompareOptions {
  window: Window
  subject: Subject
  /** how many differences are named */
  maxDifferences: number
  signal?: AbortSignal
  /** whether a key that is not the same on both sides counts; all do when absent */
  accept?: (candidate: Candidate) => boolean
}

export interface CompareTableOptions extends CompareOptions {
  throttle: Throttle
  /** only these keys; the whole table when absent */
  range?: KeyRange
  /** ranges of at most this many rows are compared row by row */
  leafRows?: number
  /** what an earlier comparison has left of the table, and what this one leaves */
  checkpoint?: TableCheckpoint | null
  /** after each chunk: rows compared in it, on the side that has more */
  onRows?: (rows: number) => void
}

/** Past so many rows that were being written, the table is compared as a whole again. */
const maxOpenKeys = 20_000
/** Rows that are read by their keys in one statement. */
const keysAtOnce = 500

/**
 * Compares a table, or a range of it, within one window, piece by piece: boundaries are the primary's, and the
 * first and the last piece end where the range does (open, for a whole table), so that no row on either side is
 * left out. What differs is narrowed down to keys; one that was not written between the two moments is proven wrong. All of
 * it stays open where the table was emptied meanwhile.
 */
export async function compareTable(options: CompareTableOptions): Promise<TableFindings> {
  const { window, subject } = options
  const found = new Findings(options)
  const { primaryRows, cloudRows, differing } = await hashBoth(options)
  // Only now, because one session does one thing at a time.
  for (const pair of differing) if (!found.isHopeless) await drill(options, found, pair)
  if (await isReplaced(window, subject.table.name)) return replaced(window, nothingFound)
  const reason = window.fence.passed || found.open === 0 ? null : window.fence.reason
  return { primaryRows, cloudRows, ...found.result(), reason, lsn: window.lsn }
}

/** What was read is of no moment: neither what differed nor what was the same says anything. */
function replaced({ fence, lsn }: Window, before: TableFindings): TableFindings {
  return { ...before, open: 'all', reason: fence.passed ? null : fence.reason, lsn }
}

interface Pair {
  range: KeyRange
  ours: BucketHash
  theirs: BucketHash
}

interface Compared {
  primaryRows: number
  cloudRows: number
  /** the pieces that are not the same */
  differing: Pair[]
}

/** Chunks that the primary may be ahead of the cloud, so that neither waits for the other's slower moments. */
const chunksAhead = 3

async function hashBoth(options: CompareTableOptions): Promise<Compared> {
  const { throttle, checkpoint } = options
  const compared: Compared = { primaryRows: 0, cloudRows: 0, differing: [] }
  const onRows = (rows: number): void => options.onRows?.(rows)
  const unchanged = (await checkpoint?.findUnchanged({ throttle, onRows })) ?? []
  compared.primaryRows = compared.cloudRows = sum(unchanged, (one) => one.rows)
  for (const range of rangesBesides(unchanged, options.range ?? wholeTable)) {
    await hashRange(options, range, compared)
  }
  return compared
}

async function hashRange(options: CompareTableOptions, range: KeyRange, compared: Compared): Promise<void> {
  const { window, subject, throttle, checkpoint } = options
  const running: Promise<void>[] = []
  let cloudTurn: Promise<unknown> = Promise.resolve()
  for (let left: KeyRange | null = range; left !== null;) {
    if (running.length >= chunksAhead) await running.shift()
    const { chunk, restEveryRows } = await nextChunk(options, left)
    const ours = timed(() =>
      hashRanges(window.primary.client, subject.primarySql, chunk.ranges, restEveryRows),
    )
    const theirs = cloudTurn.then(() =>
      timed(() => hashRanges(window.cloud.client, subject.cloudSql, chunk.ranges, restEveryRows)),
    )
    cloudTurn = theirs
    const compare = async (): Promise<void> => {
      const [primary, cloud] = await Promise.all([ours, theirs])
      const pairs = pairUp(chunk.ranges, primary.result.buckets, cloud.result.buckets)
      const rows = sum(pairs, (pair) => Math.max(pair.ours.rows, pair.theirs.rows))
      const serverMs = Math.max(primary.result.serverMs, cloud.result.serverMs)
      throttle.took(
        subject.table.name,
        { rows: chunk.rows, hashed: rows, restEveryRows, serverMs, isLast: chunk.rest === null },
        Math.max(primary.elapsedMs, cloud.elapsedMs),
      )
      compared.primaryRows += sum(pairs, (pair) => pair.ours.rows)
      compared.cloudRows += sum(pairs, (pair) => pair.theirs.rows)
      compared.differing.push(...pairs.filter((pair) => !sameBucket(pair.ours, pair.theirs)))
      const same = pairs.filter((pair) => sameBucket(pair.ours, pair.theirs))
      checkpoint?.keep(same.map((pair) => ({ range: pair.range, rows: pair.ours.rows })))
      await failpoint('verify.after-chunk')
      options.onRows?.(rows)
    }
    const comparing = compare()
    // It is awaited in its turn, unless something else fails before.
    comparing.catch(() => undefined)
    running.push(comparing)
    await (throttle.isGentle ? comparing : ours)
    left = chunk.rest
  }
  await Promise.all(running)
}

async function nextChunk(
  options: CompareTableOptions,
  range: KeyRange,
): Promise<{ chunk: Chunk; restEveryRows: number | null }> {
  const { window, subject, throttle, leafRows } = options
  const { rows, restEveryRows } = await throttle.next(subject.table.name)
  const size = { rows, minPieceRows: leafRows ?? defaultLeafRows }
  return { chunk: await cutChunk(window.primary.client, subject.primarySql, range, size), restEveryRows }
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; elapsedMs: number }> {
  const startedAt = performance.now()
  const result = await work()
  return { result, elapsedMs: performance.now() - startedAt }
}

function pairUp(
  ranges: readonly KeyRange[],
  primary: readonly BucketHash[],
  cloud: readonly BucketHash[],
): Pair[] {
  return ranges.map((range, place) => {
    const [ours, theirs] = [primary[place], cloud[place]]
    if (ours === undefined || theirs === undefined) throw new Error('a range gave no hash')
    return { range, ours, theirs }
  })
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0)
}

async function drill(options: CompareTableOptions, found: Findings, pair: Pair): Promise<void> {
  const { window, subject, leafRows, signal } = options
  const pieces = drillDown({
    primary: window.primary.client,
    cloud: window.cloud.client,
    primarySql: subject.primarySql,
    cloudSql: subject.cloudSql,
    range: pair.range,
    primaryRows: pair.ours.rows,
    cloudRows: pair.theirs.rows,
    ...(leafRows === undefined ? {} : { leafRows }),
    ...(signal === undefined ? {} : { signal }),
  })
  for await (const candidates of pieces) {
    await found.add(candidates)
    if (found.isHopeless) return
  }
}

/**
 * Looks again at keys that were being written, within a later window: one that is the same now is settled, one
 * that differs and was not written in between is proven wrong, and the others stay open.
 */
export async function recheckKeys(
  options: CompareOptions & {
    keys: readonly Key[]
    before: TableFindings
    /** how many more of the keys the primary has */
    onPresent?: (rows: number) => void
  },
): Promise<TableFindings> {
  const { window, subject, keys, before, signal } = options
  const found = new Findings(options, before)
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    signal?.throwIfAborted()
    const some = keys.slice(at, at + keysAtOnce)
    const [ours, theirs] = await readBoth(window, subject, some, false)
    options.onPresent?.(ours.size)
    const differing = some
      .map((key) => ({ key, primary: ours.get(name(key)) ?? null, cloud: theirs.get(name(key)) ?? null }))
      .filter(({ primary, cloud }) => primary?.hash !== cloud?.hash)
    await found.add(differing)
  }
  if (await isReplaced(window, subject.table.name)) return replaced(window, before)
  const reason = window.fence.passed || found.open === 0 ? null : window.fence.reason
  return { ...before, ...found.result(), reason, lsn: window.lsn }
}

/** What differs, sorted into proven and open, with as many named as are shown. */
class Findings {
  readonly #options: CompareOptions
  readonly #shown: Difference[]
  #proven: number
  #open: Key[] = []
  #isAllOpen = false

  constructor(options: CompareOptions, before?: TableFindings) {
    this.#options = options
    this.#shown = [...(before?.shown ?? [])]
    this.#proven = before?.proven ?? 0
  }

  get open(): number {
    return this.#isAllOpen ? Infinity : this.#open.length
  }

  /** Nothing more can be learnt about the table in this window. */
  get isHopeless(): boolean {
    const { window, subject } = this.#options
    return this.open > 0 && (!window.fence.passed || window.isWholeTouched(subject.table.name))
  }

  result(): Pick<TableFindings, 'shown' | 'proven' | 'open'> {
    return { shown: this.#shown, proven: this.#proven, open: this.#isAllOpen ? 'all' : this.#open }
  }

  async add(candidates: readonly Candidate[]): Promise<void> {
    const { window, subject, maxDifferences } = this.#options
    const proven: Candidate[] = []
    for (const one of candidates) {
      if (this.#options.accept?.(one) === false) continue
      if (!window.isTouched(subject.table.name, one.key)) proven.push(one)
      else if (this.#open.length < maxOpenKeys) this.#open.push(one.key)
      else this.#isAllOpen = true
    }
    this.#proven += proven.length
    const named = proven.slice(0, Math.max(0, maxDifferences - this.#shown.length))
    this.#shown.push(...(await this.#name(named)))
    // A table that was emptied or written as a whole: not only the keys that happen to differ now.
    if (this.#open.length > 0 && window.isWholeTouched(subject.table.name)) this.#isAllOpen = true
  }

  async #name(proven: readonly Candidate[]): Promise<Difference[]> {
    const { window, subject } = this.#options
    const changed = proven.filter((one) => one.primary !== null && one.cloud !== null)
    const keys = changed.map((one) => one.key)
    const [ours, theirs] = await readBoth(window, subject, keys)
    return proven.map(({ key, primary, cloud }) => {
      const at = name(key)
      const kind = primary === null ? 'extra' : cloud === null ? 'missing' : 'changed'
      const columns =
        kind === 'changed' ? differingColumns(subject.table.columns, ours.get(at), theirs.get(at)) : []
      return { key, kind, columns }
    })
  }
}

type Rows = Map<string, Awaited<ReturnType<typeof readRowsByKey>>[number]>

async function readBoth(
  window: Window,
  subject: Subject,
  keys: readonly Key[],
  withColumns = true,
): Promise<[Rows, Rows]> {
  const [ours, theirs] = await Promise.all([
    readRowsByKey(window.primary.client, subject.primarySql, keys, withColumns),
    readRowsByKey(window.cloud.client, subject.cloudSql, keys, withColumns),
  ])
  const byKey = (rows: typeof ours): Rows => new Map(rows.map((row) => [name(row.key), row]))
  return [byKey(ours), byKey(theirs)]
}

function name(key: Key): string {
  return JSON.stringify(key)
}
