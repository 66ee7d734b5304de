import { orAborted, sleep } from '../../core/backoff.ts'
import { defineCommand, type Invocation } from '../../core/cli.ts'
import { integerSetting, setting } from '../../core/config.ts'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import { findMonitor, type MonitorPresence } from '../../replication/monitor/presence.ts'
import { readStatus, type StatusReport } from '../../replication/status.ts'
import { relayToJson } from './describe-relay.ts'
import { describeStatus } from './describe-status.ts'
import { serverUrls } from './server-urls.ts'

interface Look {
  report: StatusReport
  monitor: MonitorPresence
}

export const statusCommand = defineCommand<{ watch?: boolean }>({
  name: 'status',
  summary: 'Show both servers, replication, tables, the active model and the monitor on one screen',
  details:
    'Compares no content (ops monitor --once does) and works when one server is down; exit 1 then.\n' +
    'With --watch: again every 2 seconds, less often where that is much work for the servers; on a terminal in place,\n' +
    'else one after the other; Ctrl-C ends it with exit code 0.\n' +
    'With --json, one line each time: {"at", "primary", "cloud": {error, version, pgvector, database, missingMigrations,\n' +
    'heartbeatAt}, "replication": {subscription, relay, workers, slot, otherSlots, lag, index}|null (relay: as in ops monitor),\n' +
    '"slots": [{name, active, activePid, walStatus, safeWalBytes, confirmedLsn, currentLsn, retainedBytes, lagBytes}]|null,\n' +
    '"tables": [{table, primaryRows, cloudRows, verdict, checkedAt, fullAt}], "model": {id, dimensions, state}|null,\n' +
    '"monitor": {running: true|false|null, session, url, lookedAt, historyError,\n' +
    'alerts: [{id, code, side, severity, table, message, fix, since, until}]|null},\n' +
    '"findings": [{code, side, severity, message, fix}]}; with --watch, where a look failed, {"at", "error": {code, message}}.',
  examples: [
    ['status', 'how are things'],
    ['status --watch', 'how are things now, and now'],
    ['status --json', 'the same for a program'],
  ],
  configure: (command) => command.option('--watch', 'show it again and again until Ctrl-C'),
  async run({ out, options, signal }) {
    const urls = serverUrls()
    const here = {
      folder: setting('MONITOR_STATE_PATH') ?? 'data/monitor',
      port: integerSetting('MONITOR_PORT', { byDefault: 9188, min: 0, max: 65_535 }),
    }
    const look = async (queryTimeoutMs?: number): Promise<Look> => {
      const [report, monitor] = await Promise.all([readStatus(urls, queryTimeoutMs), findMonitor(here)])
      return { report, monitor }
    }
    if (options.watch === true) {
      await watch(() => look(watchedQueryMs), { out, signal })
      return 0
    }
    const seen = await look()
    out.result(toJson(seen), describeStatus(seen.report, seen.monitor))
    return seen.report.primary.error === null && seen.report.cloud.error === null ? 0 : 1
  },
})

const everyMs = 2_000
/** Counting large tables must not keep a small server busy: a look may take a third of the time. */
const restPerLook = 2
const longestRestMs = 30_000
/** Longer, and the server hangs. */
const watchedQueryMs = 30_000

async function watch(
  look: () => Promise<Look>,
  { out, signal }: Pick<Invocation<unknown>, 'out' | 'signal'>,
): Promise<void> {
  while (!signal.aborted) {
    const startedAt = performance.now()
    try {
      const seen = await orAborted(look(), signal)
      const title = `ops status at ${seen.report.at}, Ctrl-C ends it`
      out.screen(
        toJson(seen),
        `${title}\n\n${describeStatus(seen.report, seen.monitor, { troubleFirst: true })}\n`,
      )
    } catch (error) {
      if (signal.aborted) return
      // Configuration does not heal; a server that went away in the middle of a look does.
      if (error instanceof HomeportError && error.exitCode === 2) throw error
      const at = new Date().toISOString()
      const code = error instanceof HomeportError ? error.code : (errorCode(error) ?? 'UNEXPECTED')
      const message = errorMessage(error)
      out.screen({ at, error: { code, message } }, `ops status at ${at}, Ctrl-C ends it\n\n${message}\n`)
    }
    const lookMs = performance.now() - startedAt
    const restMs = Math.min(longestRestMs, Math.max(everyMs, lookMs * restPerLook))
    await sleep(restMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }
}

function toJson({ report, monitor }: Look): unknown {
  const { monitorSession, replication, ...rest } = report
  // A primary that does not answer cannot say who watches it.
  const isKnown = monitor.url !== null || report.primary.error === null
  return {
    ...rest,
    replication: replication === null ? null : { ...replication, relay: relayToJson(replication.relay) },
    monitor: {
      running: isKnown ? monitor.url !== null || monitorSession !== null : null,
      session: monitorSession,
      ...monitor,
    },
  }
}
