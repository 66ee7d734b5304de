import { errorMessage } from '../../core/errors.ts'
import { MonitorHistory } from './history.ts'
import type { MonitorHealth } from './monitor-server.ts'
import type { Alert } from './sample.ts'

/** What is known of the monitor on this machine. */
export interface MonitorPresence {
  /** where its page is; null when nothing of ours answers there */
  url: string | null
  /** ISO time of its last look; null when it does not answer, or did not look yet */
  lookedAt: string | null
  /** those that are open, by the monitor that answers or else by its history; null when there is neither */
  alerts: readonly Alert[] | null
  /** why the history cannot be read; null when it can, or is not needed */
  historyError: string | null
}

const answerMs = 1_000

/** Asks the monitor at a port of this machine, and its history in `folder` when it does not answer. Never throws. */
export async function findMonitor(options: { folder: string; port: number }): Promise<MonitorPresence> {
  const url = `http://127.0.0.1:${options.port}/`
  const health = options.port === 0 ? null : await askHealth(url)
  if (health !== null) return { url, lookedAt: health.sampleAt, alerts: health.alerts, historyError: null }
  const silent = { url: null, lookedAt: null }
  try {
    const history = MonitorHistory.find(options.folder)
    return { ...silent, alerts: (await history?.openAlerts()) ?? null, historyError: null }
  } catch (error) {
    // Somebody else's folder, or a broken disk: said beside everything else.
    return { ...silent, alerts: null, historyError: errorMessage(error) }
  }
}

async function askHealth(url: string): Promise<MonitorHealth | null> {
  try {
    const response = await fetch(`${url}health`, { signal: AbortSignal.timeout(answerMs) })
    const health = (await response.json()) as Partial<MonitorHealth> | null
    const isOurs = health?.program === 'homeport monitor' && Array.isArray(health.alerts)
    return isOurs ? (health as MonitorHealth) : null
  } catch {
    // Nobody there, or somebody else.
    return null
  }
}
