import type { Invocation, Output } from '../../core/cli.ts'
import { errorMessage, HomeportError, type ExitCode } from '../../core/errors.ts'
import type { HealthLimits } from '../../replication/health-verdicts.ts'
import { testNotice, type Way } from '../../replication/monitor/delivery/notice.ts'
import { Outbox } from '../../replication/monitor/delivery/outbox.ts'
import { MonitorHistory } from '../../replication/monitor/history.ts'
import { MonitorLock } from '../../replication/monitor/lock.ts'
import type { MonitorState } from '../../replication/monitor/monitor-metrics.ts'
import { startMonitorServer } from '../../replication/monitor/monitor-server.ts'
import { runMonitor } from '../../replication/monitor/run.ts'
import type { Schedule } from '../../replication/monitor/schedule.ts'
import type { ServerUrls } from '../../replication/servers.ts'
import { alertWays, type MonitorSettings } from './monitor-settings.ts'

export interface StayOptions extends ServerUrls {
  settings: MonitorSettings
  schedule: Schedule
  limits: HealthLimits
  beatSeconds: number
  signal: AbortSignal
}

/** Watches until the signal, with a history, and a page that shows it. */
export async function stayAndWatch(options: StayOptions, out: Output, json: boolean): Promise<void> {
  const { settings, ...watch } = options
  const { statePath, keepDays, port, ...more } = settings
  const history = await MonitorHistory.open({ folder: statePath, keepDays })
  const outbox = await Outbox.open(statePath)
  const since = new Date().toISOString()
  let current: MonitorState = { sample: null, alerts: [], since }
  const server = await startMonitorServer({
    port,
    history,
    beatSeconds: options.beatSeconds,
    current: () => current,
  }).catch(async (error: unknown) => {
    await refuseSecondMonitor(options.primaryUrl)
    throw error
  })
  try {
    await runMonitor({
      ...watch,
      ...more,
      history,
      outbox,
      onLook: ({ sample, alerts }) => {
        // Not before it is the only one.
        if (!json && current.sample === null) out.note(`watching; ${server.url}/ shows it; Ctrl-C stops`)
        current = { sample, alerts, since }
      },
      onEvent: (event) => out.result(event, `${event.at} ${event.event}: ${event.message}`),
    })
  } finally {
    await server.close()
  }
}

/** A port that is taken is most likely that of another monitor, and who that is helps more. */
async function refuseSecondMonitor(primaryUrl: string): Promise<void> {
  const lock = new MonitorLock(primaryUrl)
  try {
    await lock.hold()
  } catch (error) {
    // A primary that does not answer says nothing about the port.
    if (error instanceof HomeportError && error.code === 'MONITOR_RUNNING') throw error
  } finally {
    await lock.release()
  }
}

interface TestOutcome {
  way: Way['name']
  ok: boolean
  error: string | null
}

/** Sends one alert by every way that is set. @throws HomeportError NO_ALERT_WAY, exit 2, when there is none. */
export async function testAlert({
  out,
  signal,
}: Pick<Invocation<unknown>, 'out' | 'signal'>): Promise<ExitCode> {
  const ways = alertWays()
  if (ways.length === 0) {
    throw new HomeportError('NO_ALERT_WAY', 'neither ALERT_WEBHOOK_URL nor ALERT_COMMAND is set', {
      hint: 'set one of them: see .env.example',
      exitCode: 2,
    })
  }
  const notice = testNotice(new Date())
  const outcomes = await Promise.all(
    ways.map(async (way): Promise<TestOutcome> => {
      try {
        await way.deliver(notice, signal)
        return { way: way.name, ok: true, error: null }
      } catch (error) {
        signal.throwIfAborted()
        return { way: way.name, ok: false, error: errorMessage(error) }
      }
    }),
  )
  const ok = outcomes.every((one) => one.ok)
  out.result(
    { ok, ways: outcomes },
    outcomes
      .map(({ way, error }) => `${way.padEnd(8)} ${error === null ? 'arrived' : `failed: ${error}`}`)
      .join('\n'),
  )
  return ok ? 0 : 1
}
