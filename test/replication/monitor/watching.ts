import type { Test } from 'tap'
import type { Notice } from '../../../replication/monitor/delivery/notice.ts'
import { runMonitor, type RunMonitorOptions } from '../../../replication/monitor/run.ts'
import type { Alert, MonitorSample } from '../../../replication/monitor/sample.ts'
import type { MonitorEvent } from '../../../replication/monitor/teller.ts'
import { until } from '../../support/api.ts'
import type { Replication } from '../support.ts'
import type { Receiver } from './receiver.ts'

export interface Watching {
  events: MonitorEvent[]
  looks: { sample: MonitorSample; alerts: Alert[] }[]
  /** Waits until so many looks have been made from now on. */
  forLooks(count: number): Promise<void>
  forEvent(event: MonitorEvent['event'], message?: RegExp): Promise<void>
  /** Ends it in order. */
  stop(): Promise<void>
}

/** A monitor in this process, ended at the end of the test. */
export function watch(t: Test, pair: Replication, options: Partial<RunMonitorOptions>): Watching {
  const events: MonitorEvent[] = []
  const looks: Watching['looks'] = []
  const ended = new AbortController()
  const running = runMonitor({
    primaryUrl: pair.primaryUrl,
    cloudUrl: pair.cloudUrl,
    signal: ended.signal,
    beatSeconds: 0.2,
    verifySeconds: 3600,
    onEvent: (event) => events.push(event),
    onLook: (look) => looks.push(look),
    ...options,
  })
  running.catch(() => undefined)
  const stop = async (): Promise<void> => {
    ended.abort()
    await running
  }
  t.teardown(() => stop().catch(() => undefined))
  return {
    events,
    looks,
    stop,
    forLooks: async (count) => {
      const wanted = looks.length + count
      await Promise.race([
        until(
          async () => looks.length,
          (now) => now >= wanted,
          60_000,
        ),
        running,
      ])
    },
    forEvent: async (event, message = /./) => {
      const isThere = (): boolean => events.some((one) => one.event === event && message.test(one.message))
      await Promise.race([until(async () => isThere(), Boolean, 60_000), running])
    },
  }
}

/** The alerts of a kind that were posted. */
export function noticesOf(receiver: Receiver, code: string): Notice[] {
  return receiver.requests
    .filter(({ method }) => method === 'POST')
    .map(({ body }) => JSON.parse(body) as Notice)
    .filter(({ alert }) => alert.code === code)
}
