import { sleep } from '../../core/backoff.ts'
import type { PublishedTable } from '../../core/published-tables.ts'
import { recheckKeys } from './compare-table.ts'
import { isOpen, nothingFound, type TableFindings } from './findings.ts'
import type { Subject } from './subjects.ts'
import { openWindow, type Window, type WindowOptions } from './window.ts'

export interface RoundsOptions extends Omit<WindowOptions, 'tables'> {
  subjects: readonly Subject[]
  /** windows before a row that keeps changing is called undetermined (default 10) */
  rounds?: number
  /** named per table */
  maxDifferences: number
  /** right after the first window is open, the only one that `keepSlot` is for */
  onFirst?: (window: Window) => Promise<void>
  /** looks at a table; again in a later round when all of it stayed open */
  look: (window: Window, subject: Subject, round: number) => Promise<TableFindings>
  finish: (table: PublishedTable, findings: TableFindings) => void
}

/** Looks at tables within one window, and within later ones at what stays open. */
export async function followRounds(options: RoundsOptions): Promise<void> {
  const rounds = options.rounds ?? 10
  const findings = new Map<Subject, TableFindings>(
    options.subjects.map((subject) => [subject, { ...nothingFound, open: 'all' }]),
  )
  for (let round = 1; findings.size > 0; round += 1) {
    const pending = [...findings.keys()]
    const tables = pending.map(({ table }) => table)
    const keepSlot = options.keepSlot === true && round === 1
    const window = await openWindow({ ...options, tables, keepSlot, lockTables: round > 1 })
    try {
      if (round === 1) await options.onFirst?.(window)
      for (const subject of pending) {
        const found = await lookAt(options, window, subject, findings.get(subject) ?? nothingFound, round)
        findings.set(subject, found)
        // Without the cloud's passing, a further round would wait as long again for nothing.
        if (round < rounds && window.fence.passed && isOpen(found)) continue
        findings.delete(subject)
        options.finish(subject.table, found)
      }
    } finally {
      await window.close()
    }
    if (findings.size > 0) await sleep(Math.min(100 * round, 500), options.signal)
  }
}

function lookAt(
  options: RoundsOptions,
  window: Window,
  subject: Subject,
  before: TableFindings,
  round: number,
): Promise<TableFindings> {
  if (before.open === 'all') return options.look(window, subject, round)
  return recheckKeys({
    window,
    subject,
    maxDifferences: options.maxDifferences,
    keys: before.open,
    before,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
}
