import { databaseUrl, integerSetting, setting, type SettingName } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'
import { commandWay } from '../../replication/monitor/delivery/command.ts'
import { webhookWay } from '../../replication/monitor/delivery/http.ts'
import type { Way } from '../../replication/monitor/delivery/notice.ts'
import { cronSchedule, intervalSchedule, type Schedule } from '../../replication/monitor/schedule.ts'

export const hourly = '0 * * * *'

/** What the monitor reads from the environment. */
export interface MonitorSettings {
  ways: Way[]
  pingUrl?: string
  replicationUrl?: string
  dataFolder?: string
  statePath: string
  keepDays: number
  port: number
}

/** @throws HomeportError CONFIG_INVALID, exit 2, without the value: addresses of webhooks are secrets. */
export function monitorSettings(): MonitorSettings {
  const pingUrl = httpUrl('MONITOR_PING_URL')
  const dataFolder = setting('RELAY_PRIMARY_DATA')
  return {
    ways: alertWays(),
    ...(pingUrl === undefined ? {} : { pingUrl }),
    ...replicationSetting(),
    ...(dataFolder === undefined ? {} : { dataFolder }),
    statePath: setting('MONITOR_STATE_PATH') ?? 'data/monitor',
    keepDays: integerSetting('MONITOR_KEEP_DAYS', { byDefault: 30, min: 1, max: 3650 }),
    port: integerSetting('MONITOR_PORT', { byDefault: 9188, min: 0, max: 65_535 }),
  }
}

/** REPLICATION_DATABASE_URL, where it is set. @throws HomeportError CONFIG_INVALID, exit 2. */
export function replicationSetting(): { replicationUrl?: string } {
  const name = 'REPLICATION_DATABASE_URL'
  return setting(name) === undefined ? {} : { replicationUrl: databaseUrl(name) }
}

/** The ways by which somebody is told of an alert. @throws HomeportError CONFIG_INVALID, exit 2. */
export function alertWays(): Way[] {
  const url = httpUrl('ALERT_WEBHOOK_URL')
  const command = setting('ALERT_COMMAND')
  return [
    ...(url === undefined ? [] : [webhookWay(url)]),
    ...(command === undefined ? [] : [commandWay({ words: commandWords(command) })]),
  ]
}

/**
 * When the content is compared: --verify-seconds, else --verify-schedule, else MONITOR_VERIFY_SCHEDULE, else hourly.
 *
 * @throws HomeportError SCHEDULE_INVALID or USAGE, exit 2.
 */
export function verifySchedule(options: { verifySeconds?: number; verifySchedule?: string }): Schedule {
  const { verifySeconds, verifySchedule: expression } = options
  if (verifySeconds === undefined) {
    return cronSchedule(expression ?? setting('MONITOR_VERIFY_SCHEDULE') ?? hourly)
  }
  if (expression === undefined) return intervalSchedule(verifySeconds)
  throw new HomeportError('USAGE', '--verify-seconds and --verify-schedule cannot be given together', {
    hint: 'leave one of them out',
    exitCode: 2,
  })
}

/** Pure: a program and its arguments, from a JSON array or from words between spaces. No shell looks at it. */
export function commandWords(text: string): string[] {
  if (!text.startsWith('[')) return text.split(/\s+/)
  const words = parseJson(text)
  const isWords = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every((word) => typeof word === 'string')
  if (isWords(words) && (words[0] ?? '') !== '') return words
  throw invalid('ALERT_COMMAND', 'a program and its arguments, such as ["/usr/local/bin/page", "--now"]')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whatever it is: it is not what is wanted, and the caller says so.
    return undefined
  }
}

function httpUrl(name: SettingName): string | undefined {
  const value = setting(name)
  if (value === undefined) return undefined
  if (/^https?:\/\//i.test(value) && URL.canParse(value)) return value
  throw invalid(name, 'a URL like https://host/path')
}

function invalid(name: SettingName, wanted: string): HomeportError {
  return new HomeportError('CONFIG_INVALID', `${name} is not ${wanted}`, {
    hint: `see ${name} in .env.example`,
    exitCode: 2,
  })
}
