import { isIP } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { errorMessage } from '../../core/errors.ts'
import { createLocalApp, listenLocally, type LocalServer } from '../../core/http/local-server.ts'
import { problem, problemType } from '../../core/http/problem.ts'
import { registerSecurityHeaders } from '../../core/http/security-headers.ts'
import type { MonitorHistory } from './history.ts'
import { createMonitorMetrics, type MonitorMetrics, type MonitorState } from './monitor-metrics.ts'
import type { Alert, MonitorSample } from './sample.ts'

/** The documented JSON of /health. */
export interface MonitorHealth {
  /** failing while an alert is open that is an error, and while the last look is old: it hangs, or cannot look */
  status: 'ok' | 'failing'
  program: 'homeport monitor'
  pid: number
  /** ISO time since when it runs */
  since: string
  /** ISO time of its last look; null before the first */
  sampleAt: string | null
  alerts: readonly Alert[]
}

/** What a chart shows of a sample. */
export type DrawnSample = Pick<MonitorSample, 'at' | 'lag' | 'slot' | 'walBytesPerSecond' | 'unreachable'>

/** What the page draws. */
export interface MonitorData extends MonitorHealth {
  /** ISO, by the clock of the monitor */
  now: string
  /** how much of the past this is about */
  hours: number
  current: MonitorSample | null
  /** thinned, the oldest first; proofs are in `current` alone */
  samples: DrawnSample[]
  /** alerts that were over within these hours, the last one first */
  past: Alert[]
  unreadableLines: number
  /** a last look that is older means that the monitor hangs */
  oldAfterSeconds: number
  /** why there is no history; null when there is */
  historyError: string | null
}

export interface MonitorServerOptions {
  /** this machine only by default: who may ask is not checked */
  host?: string
  /** 0 is any free one */
  port: number
  history: Pick<MonitorHistory, 'samples' | 'alerts' | 'unreadableLines'>
  current: () => MonitorState
  /** time between two looks (default 5) */
  beatSeconds?: number
}

/**
 * Shows what the monitor sees: `/` a page; `/data.json?hours=` what it draws, {@link MonitorData}; `/health` 200
 * while no error is open, else 503, {@link MonitorHealth}; `/live` 200 as long as the process runs; `/metrics` for
 * Prometheus. Nothing can be changed through it; no secret and no row of a table is in it.
 *
 * @throws HomeportError LISTEN_FAILED, which names MONITOR_PORT.
 */
export async function startMonitorServer(options: MonitorServerOptions): Promise<LocalServer> {
  const app = await buildMonitorApp(options)
  const { host, port } = options
  return listenLocally(app, { host, port, setting: 'MONITOR_PORT', usualPort: 9188 })
}

async function buildMonitorApp(options: MonitorServerOptions): Promise<FastifyInstance> {
  const { history, current, beatSeconds = 5 } = options
  const oldAfterSeconds = Math.max(leastOldSeconds, 6 * beatSeconds)
  const describe = (state: MonitorState): MonitorHealth =>
    describeMonitor(state, { nowMs: Date.now(), oldAfterSeconds })
  const metrics: MonitorMetrics = createMonitorMetrics()
  const app = createLocalApp()
  await registerSecurityHeaders(app)
  app.addHook('onRequest', async (request, reply) => {
    if (isOurName(request.hostname, options.host)) return
    // A name that somebody else's name server points at this machine: their page would read ours.
    const refusal = problem(421, 'HOST_UNKNOWN', 'ask for this page by localhost or by an address')
    await reply.status(421).type(problemType).send(refusal)
  })
  app.addHook('onSend', async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
  })
  app.get('/live', async () => ({ status: 'live' }))
  app.get('/health', async (_request, reply) => {
    const health = describe(current())
    return reply.status(health.status === 'ok' ? 200 : 503).send(health)
  })
  app.get('/metrics', async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.text(current()))
  })
  app.get<{ Querystring: { hours: number } }>('/data.json', { schema: dataSchema }, async ({ query }) => {
    const state = current()
    const now = new Date()
    const past = await readHistory(history, now.getTime() - query.hours * 3_600_000, query.hours > 0)
    return {
      ...describe(state),
      now: now.toISOString(),
      hours: query.hours,
      current: state.sample,
      oldAfterSeconds,
      ...past,
    } satisfies MonitorData
  })
  await serveFiles(app)
  return app
}

const dataSchema = {
  querystring: {
    type: 'object',
    properties: { hours: { type: 'number', minimum: 0, maximum: 8_784, default: 24 } },
  },
}

/** A look at a server that hangs takes most of a minute. */
const leastOldSeconds = 60
/** More than a screen has room for. */
const atMost = 720
const pastAlerts = 100

async function readHistory(
  history: MonitorServerOptions['history'],
  sinceMs: number,
  wantsSamples: boolean,
): Promise<Pick<MonitorData, 'samples' | 'past' | 'unreadableLines' | 'historyError'>> {
  try {
    const samples = wantsSamples ? await history.samples({ sinceMs, atMost }) : []
    const alerts = await history.alerts({ sinceMs })
    const past = alerts.filter((alert) => alert.until !== null)
    past.sort((one, other) => (other.until ?? '').localeCompare(one.until ?? ''))
    return {
      samples: samples.map(drawnOf),
      past: past.slice(0, pastAlerts),
      unreadableLines: history.unreadableLines,
      historyError: null,
    }
  } catch (error) {
    // What is known now is worth showing all the same, and why the rest is missing.
    return { samples: [], past: [], unreadableLines: 0, historyError: errorMessage(error) }
  }
}

function drawnOf({ at, lag, slot, walBytesPerSecond, unreachable }: MonitorSample): DrawnSample {
  return { at, lag, slot, walBytesPerSecond, unreachable }
}

/** Pure: what /health answers. Before the first look the age is that of the monitor. */
export function describeMonitor(
  { sample, alerts, since }: MonitorState,
  { nowMs, oldAfterSeconds }: { nowMs: number; oldAfterSeconds: number },
): MonitorHealth {
  const isOld = nowMs - Date.parse(sample?.at ?? since) > oldAfterSeconds * 1000
  return {
    status: isOld || alerts.some((alert) => alert.severity === 'error') ? 'failing' : 'ok',
    program: 'homeport monitor',
    pid: process.pid,
    since,
    sampleAt: sample?.at ?? null,
    alerts,
  }
}

/** An address cannot be pointed elsewhere, a name can (DNS rebinding); localhost and what was asked for cannot either. */
function isOurName(hostname: string, listensOn: string | undefined): boolean {
  const name = hostname.replace(/^\[|\]$/g, '').toLowerCase()
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || name === listensOn
}

async function serveFiles(app: FastifyInstance): Promise<void> {
  const root = fileURLToPath(new URL('./web/', import.meta.url))
  await app.register(fastifyStatic, { root, wildcard: false, cacheControl: false })
  const script = fileURLToPath(import.meta.resolve('uplot/dist/uPlot.esm.js'))
  const charts = { 'uplot.js': 'uPlot.esm.js', 'uplot.css': 'uPlot.min.css' }
  for (const [name, file] of Object.entries(charts)) {
    app.get(`/${name}`, (_request, reply) => reply.sendFile(file, dirname(script)))
  }
}
