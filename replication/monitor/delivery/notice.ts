import { formatDuration } from '../../../core/amounts.ts'
import type { Alert } from '../sample.ts'

/** What is told about an alert: that it began, that it became an error, that it is over; or a test. */
export interface Notice {
  kind: 'raised' | 'worse' | 'over' | 'test'
  alert: Alert
}

/** One way of telling somebody. */
export interface Way {
  /** `webhook` or `command` */
  readonly name: 'webhook' | 'command'
  /** @throws HomeportError, whose message says what went wrong and holds no secret. */
  deliver(notice: Notice, signal?: AbortSignal): Promise<void>
}

/** Pure: what, since when, and what to do; a note with how long it lasted when it is over. */
export function describeNotice({ kind, alert }: Notice): string {
  const what = [alert.side, ...(alert.table === null ? [] : [alert.table])].join(', ')
  if (kind === 'test') return `Homeport: this is a test alert. Nothing is wrong.\nTo do: ${alert.fix}`
  if (kind === 'over') {
    const ms = Date.parse(alert.until ?? alert.since) - Date.parse(alert.since)
    return `✓ Homeport, ${what}: over after ${formatDuration(ms)}: ${alert.message}`
  }
  const sign = alert.severity === 'error' ? '✗' : '!'
  const now = kind === 'worse' ? ', now an error' : ''
  return `${sign} Homeport, ${what}${now}: ${alert.message}\nSince: ${alert.since}\nTo do: ${alert.fix}`
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
