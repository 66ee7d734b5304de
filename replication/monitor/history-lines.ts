import type { Alert, MonitorSample } from './sample.ts'

/** A sample as it is kept: without tables where they are as in the line before. */
export type StoredSample = Omit<MonitorSample, 'tables'> & Partial<Pick<MonitorSample, 'tables'>>

/** A line of the history as a sample; undefined when it is none. */
export function asSample(value: unknown): StoredSample | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { at, lag, tables, unreachable } = value as Partial<StoredSample>
  const isWhole =
    isTime(at) &&
    typeof lag === 'object' &&
    Array.isArray(unreachable) &&
    (tables === undefined || Array.isArray(tables))
  return isWhole ? (value as StoredSample) : undefined
}

/** A line of the history as an alert; undefined when it is none. */
export function asAlert(value: unknown): Alert | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, since, until, code, message } = value as Partial<Alert>
  const isWhole =
    [id, code, message].every((text) => typeof text === 'string') &&
    isTime(since) &&
    (until === null || isTime(until))
  return isWhole ? (value as Alert) : undefined
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && Number.isFinite(Date.parse(value))
}
