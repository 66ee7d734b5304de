import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import { createPool } from '../core/db.ts'
import { HomeportError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { buildApp } from './app.ts'
import { createFallback } from './fallback/service.ts'
import { reportHealth } from './health.ts'
import { createPulse } from './pulse.ts'
import { createRoleProof } from './role-proof.ts'
import { FailoverEngine } from './search/failover.ts'
import { createGenerationKeeper } from './search/generation.ts'
import { PostgresEngine, searchSessionSettings } from './search/hybrid.ts'
import { sentenceModels } from './sentence-models.ts'
import type { ApiSettings } from './settings.ts'

export interface Api {
  app: FastifyInstance
  /**
   * Proves the role where the database answers within seconds, then lets everything else come up in the
   * background: the app may listen as soon as this returns.
   *
   * @throws HomeportError ROLE_CAN_WRITE, exit 2.
   */
  start(): Promise<void>
  stop(): Promise<void>
}

const applicationName = 'homeport api'
/** Searches at the same time; more wait for a moment, then go to memory. */
const searchSessions = 8
const proofAtStartMs = 3_000
const firstLookMs = 3_000

/** Puts the api together. Nothing connects before `start`. */
export async function createApi(settings: ApiSettings, log: Logger): Promise<Api> {
  // Every session of both pools is proven before anybody gets it, so a role that can write is never used,
  // also when the database comes up later or the role's grants change meanwhile.
  const proof = createRoleProof({ allowWritable: settings.allowWritableRole })
  const connection = {
    connectionString: settings.databaseUrl,
    applicationName,
    connectTimeoutMs: 2_000,
    onConnect: (client: pg.ClientBase) => proof.check(client),
  }
  const searchPool = createPool({
    ...connection,
    max: searchSessions,
    min: 2,
    statementTimeoutMs: 2_500,
    queryTimeoutMs: 3_000,
    sessionSettings: searchSessionSettings,
  })
  // Loads whole tables: the lexicon and the index in memory.
  const loadPool = createPool({
    ...connection,
    max: 3,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 120_000,
    queryTimeoutMs: 130_000,
  })
  const openSentenceModel = sentenceModels(settings.embedder)
  const generations = createGenerationKeeper({ pool: loadPool, openSentenceModel, log })
  const fallback = createFallback({
    pool: loadPool,
    snapshotPath: settings.snapshotPath,
    refreshSeconds: settings.refreshSeconds,
    engine: settings.fallbackEngine,
    openSentenceModel,
    log,
  })
  const postgres = new PostgresEngine({ pool: searchPool, generations })
  const engine = new FailoverEngine({ postgres, memory: fallback.index, log })
  const pulse = createPulse({
    pool: searchPool,
    generations,
    log,
    onFailure: (error) => engine.reportFailure(error),
  })
  const health = () => {
    const model = generations.current()?.vectors?.model
    return reportHealth({
      now: new Date(),
      facts: pulse.facts(),
      source: engine.source(),
      memory: fallback.status(),
      role: proof.verdict(),
      model: model === undefined ? null : { id: model.id, name: model.name, kind: model.kind },
      modelProblem: generations.problem(),
      apiOnly: settings.apiOnly,
      ingestionEnabled: settings.ingestionEnabled,
    })
  }
  const app = await buildApp({
    engine,
    pulse,
    health,
    log,
    requestsPerMinute: settings.requestsPerMinute,
    trustedProxies: settings.trustedProxies,
  })

  return {
    app,
    async start() {
      await proveAtStart()
      // The first visitor is answered, where the database is quick to say what there is.
      if (proof.verdict().state !== 'unproven') await withinMs(pulse.beat(), firstLookMs)
      pulse.start()
      fallback.start().catch((error: unknown) => log.error({ err: error }, 'the fallback did not start'))
    },
    async stop() {
      await app.close()
      engine.stop()
      await Promise.allSettled([pulse.stop(), fallback.stop()])
      await generations.close()
      // A server that hangs does not say goodbye.
      await withinMs(Promise.allSettled([searchPool.end(), loadPool.end()]), 1_000)
    },
  }

  async function proveAtStart(): Promise<void> {
    const attempt = searchPool.connect().then((client) => client.release())
    const timer = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('no answer')), proofAtStartMs).unref()
    })
    try {
      await Promise.race([attempt, timer])
    } catch (error) {
      if (error instanceof HomeportError && error.code === 'ROLE_CAN_WRITE') throw error
      attempt.catch(() => undefined)
      log.warn(
        { err: error },
        'the database does not answer yet: its role is proven, and it is used, once it does',
      )
    }
    const verdict = proof.verdict()
    if (verdict.state === 'writable') {
      log.warn({ role: verdict.role, reasons: verdict.reasons }, 'running with a role that can write')
    }
  }
}

/** Waits for work that never rejects, but not longer. */
async function withinMs(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)))
  await Promise.race([work, limit])
  clearTimeout(timer)
}
