import { formatBytes, formatDuration } from '../../core/amounts.ts'
import { createLog, type Logger } from '../../core/log.ts'
import { choiceSetting } from '../../core/config.ts'
import type { SeedProgress } from '../../replication/relay/seed/seed-progress.ts'

/** An initial copy as a line for a terminal. */
export function describeCopy(copy: SeedProgress): string {
  const left = copy.secondsLeft === null ? '' : `, ${formatDuration(copy.secondsLeft * 1000)} left`
  const share = copy.ranges === 0 ? 100 : Math.floor((100 * copy.rangesCopied) / copy.ranges)
  const rows = `${copy.rows} of about ${copy.rowsExpected} rows`
  return `initial copy: ${share} %, ${rows}, ${copy.rowsPerSecond}/s, ${formatBytes(copy.bytes)}${left}`
}

/** The same as it is told to a program. */
export function copyToJson(copy: SeedProgress | null): unknown {
  if (copy === null) return null
  const { tables, ranges, rows, bytes, seconds } = copy
  return { tables, ranges, rows, bytes, seconds }
}

/** Where the links to the cloud write what a person rarely wants to know. */
export function quietLog(name: string): Logger {
  const level = choiceSetting('LOG_LEVEL', ['warn', 'trace', 'debug', 'info', 'error', 'silent'])
  return createLog({ name, level })
}
