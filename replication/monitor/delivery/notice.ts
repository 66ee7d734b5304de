import { formatDuration } from '../../../core/amounts.ts'
import { HomeportError } from '../../../core/errors.ts'
import type { Alert } from '../sample.ts'

/** What is told about an alert: that it began, that it became an error, that it is over; or a test. */
export interface Notice {
  kind: 'raised' | 'worse' | 'over' | 'test'
  alert: Alert
}

export const wayNames = ['webhook', 'command'] as const

/** One way of telling somebody. */
export interface Way {
  readonly name: (typeof wayNames)[number]
  /** @throws HomeportError, whose message says what went wrong and holds no secret. */
  deliver(notice: Notice, signal?: AbortSignal): Promise<void>
}

/** A refusal that says when to come again. */
export class TryLater extends HomeportError {
  readonly afterMs: number

  constructor(message: string, afterMs: number) {
    super('HTTP_FAILED', message)
    this.afterMs = afterMs
  }
}

/** Pure: what, since when, and what to do; a note with how long it lasted when it is over. */
export function describeNotice({ kind, alert }: Notice): string {
  const what = [alert.side, ...(alert.table === null ? [] : [alert.table])].join(', ')
  if (kind === 'test') return `Homeport: this is a test alert. Nothing is wrong.\nTo do: ${alert.fix}`
  if (kind === 'over') {
    return `✓ Homeport, ${what}: over after ${formatDuration(lastedMs(alert))}: ${alert.message}`
  }
  const sign = alert.severity === 'error' ? '✗' : '!'
  const now = kind === 'worse' ? ', now an error' : ''
  return `${sign} Homeport, ${what}${now}: ${alert.message}\nSince: ${alert.since}\nTo do: ${alert.fix}`
}

/** Pure: how long it lasted; none where a clock went back meanwhile. */
export function lastedMs({ since, until }: Pick<Alert, 'since' | 'until'>): number {
  return Math.max(0, Date.parse(until ?? since) - Date.parse(since))
}

/** A notice that can be told from a real one. */
export function testNotice(now: Date): Notice {
  return {
    kind: 'test',
    alert: {
      id: 'test',
      code: 'TEST',
      side: 'primary',
      severity: 'warning',
      table: null,
      message: 'this is a test alert',
      fix: 'nothing; ops monitor --test-alert has sent it',
      since: now.toISOString(),
      until: null,
    },
  }
}
