import type { Queryable } from '../../core/db.ts'
import { fragment, renderSql } from '../../core/sql.ts'
import type { Candidate } from './find-differences.ts'
import { drillDown } from './find-differences.ts'
import type { TableFindings } from './findings.ts'
import type { Throttle } from './pace.ts'
import { differingColumns, type Difference } from './prove.ts'
import { rangeCondition, type HashSql, type Key, type KeyRange } from './row-hash.ts'
import type { Subject } from './subjects.ts'
import { hashRanges, readRowsByKey, sameBucket, type BucketHash } from './table-hash.ts'
import type { Window } from './window.ts'

export interface CompareOptions {
  window: Window
  subject: Subject
  /** how many differences are named */
  maxDifferences: number
  signal?: AbortSignal
}

export interface CompareTableOptions extends CompareOptions {
  throttle: Throttle
  /** ranges of at most this many rows are compared row by row */
  leafRows?: number
  /** after each chunk: rows compared in it, on the side that has more */
  onRows?: (rows: number) => void
}

/** Past so many rows that were being written, the table is compared as a whole again. */
const maxOpenKeys = 20_000
/** Rows that are read by their keys in one statement. */
const keysAtOnce = 500

/**
 * Compares a table within one window, range by range: boundaries are the primary's, the first range is open
 * to the left and the last to the right, so that no row on either side is left out. What differs is
 * narrowed down to keys; one that was not written between the two moments is proven wrong.
 */
export async function compareTable(options: CompareTableOptions): Promise<TableFindings> {
  const { window, subject, throttle } = options
  const found = new Findings(options)
  let primaryRows = 0
  let cloudRows = 0
  let from: Key | null = null
  do {
    const step = await throttle.next()
    const startedAt = performance.now()
    const to = await nextBoundary(window.primary.client, subject.primarySql, { from, to: null }, step)
    const range: KeyRange = { from, to }
    const [ours, theirs] = await hashBoth(window, subject, range)
    throttle.took(Math.max(ours.rows, theirs.rows), performance.now() - startedAt)
    primaryRows += ours.rows
    cloudRows += theirs.rows
    if (!sameBucket(ours, theirs) && !found.isHopeless) await drill(options, found, range, ours, theirs)
    options.onRows?.(Math.max(ours.rows, theirs.rows))
    from = to
  } while (from !== null)
  const reason = window.fence.passed || found.open === 0 ? null : window.fence.reason
  return { primaryRows, cloudRows, ...found.result(), reason, lsn: window.lsn }
}

async function hashBoth(
  window: Window,
  subject: Subject,
  range: KeyRange,
): Promise<[primary: BucketHash, cloud: BucketHash]> {
  const [[ours], [theirs]] = await Promise.all([
    hashRanges(window.primary.client, subject.primarySql, [range]),
    hashRanges(window.cloud.client, subject.cloudSql, [range]),
  ])
  if (ours === undefined || theirs === undefined) throw new Error('a range gave no hash')
  return [ours, theirs]
}

async function drill(
  options: CompareTableOptions,
  found: Findings,
  range: KeyRange,
  ours: BucketHash,
  theirs: BucketHash,
): Promise<void> {
  const { window, subject, leafRows, signal } = options
  const pieces = drillDown({
    primary: window.primary.client,
    cloud: window.cloud.client,
    primarySql: subject.primarySql,
    cloudSql: subject.cloudSql,
    range,
    primaryRows: ours.rows,
    cloudRows: theirs.rows,
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
  options: CompareOptions & { keys: readonly Key[]; before: TableFindings },
): Promise<TableFindings> {
  const { window, subject, keys, before, signal } = options
  const found = new Findings(options, before)
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    signal?.throwIfAborted()
    const some = keys.slice(at, at + keysAtOnce)
    const [ours, theirs] = await readBoth(window, subject, some)
    const differing = some
      .map((key) => ({ key, primary: ours.get(name(key)) ?? null, cloud: theirs.get(name(key)) ?? null }))
      .filter(({ primary, cloud }) => primary?.hash !== cloud?.hash)
    await found.add(differing)
  }
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

async function readBoth(window: Window, subject: Subject, keys: readonly Key[]): Promise<[Rows, Rows]> {
  const [ours, theirs] = await Promise.all([
    readRowsByKey(window.primary.client, subject.primarySql, keys),
    readRowsByKey(window.cloud.client, subject.cloudSql, keys),
  ])
  const byKey = (rows: typeof ours): Rows => new Map(rows.map((row) => [name(row.key), row]))
  return [byKey(ours), byKey(theirs)]
}

function name(key: Key): string {
  return JSON.stringify(key)
}

/** The key that the next chunk but one begins with; null when this one is the last. */
async function nextBoundary(db: Queryable, sql: HashSql, range: KeyRange, step: number): Promise<Key | null> {
  const { rows } = await db.query<{ key: Key }>(
    renderSql('verify/next-boundary', {
      table: sql.table,
      keyText: sql.keyText,
      keys: sql.keys,
      condition: rangeCondition(sql, range),
      step: fragment(String(step)),
    }),
  )
  return rows[0]?.key ?? null
}
