import type pg from 'pg'
import { backoffMs, sleep } from '../../core/backoff.ts'
import type { Embedder } from '../../core/embed/embedder.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { OpenSentenceModel } from '../sentence-models.ts'
import { readBasis } from './cloud-rows.ts'
import { inCloudSnapshot } from './cloud-snapshot.ts'
import { allOfIt } from './cloud-state.ts'
import type { Collection } from './collection.ts'
import { removeLeftovers } from './faiss-engine.ts'
import { followCloud, loadCollection } from './follow.ts'
import { MemoryIndex } from './memory-index.ts'
import { createPause } from './pause.ts'
import { isCompactionDue, sameGeneration } from './refresh-plan.ts'
import { openEmbedder, openEngine, openScan, type EngineOptions } from './searchable.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'
import { loadSnapshot } from './snapshot.ts'
import type { EngineKind } from './vector-engine.ts'
import { Watermark } from './watermark.ts'

export interface FallbackOptions extends EngineOptions {
  /** Of the read-only role; its statements may take longer than a search. */
  pool: pg.Pool
  refreshSeconds: number
  /** How often everything is compared instead of what is new (default 300). */
  sweepSeconds?: number
  /** For generations of a sentence model; without it words answer alone. */
  openSentenceModel?: OpenSentenceModel
  onStatus?: (status: FallbackStatus) => void
}

export interface FallbackStatus {
  /** Whether it can answer. */
  ready: boolean
  segments: number
  /** The home database's clock when memory was surely all there was. */
  asOf: Date | null
  /** What searches vectors at this moment. */
  engine: EngineKind
  modelId: number | null
  /** Why its file is not up to date, as a code. */
  unsaved?: string
  /** Of what went wrong last, until it goes well. */
  lastError?: string
}

export interface FallbackService {
  /** Answers searches. */
  readonly index: MemoryIndex
  /** Loads the snapshot, for which no database is needed, then follows the cloud in the background. */
  start(): Promise<void>
  /** Saves what changed, and ends every process it started. */
  stop(): Promise<void>
  status(): FallbackStatus
  /**
   * Follows the cloud now instead of at the next turn.
   *
   * @param options.sweep compare everything
   * @throws the database's error
   */
  refresh(options?: { sweep?: boolean }): Promise<void>
}

const embedderRetryMs = 20_000
const stopWaitMs = 3_000

/** Keeps a searchable copy of what is public in the cloud in this process's memory and on its disk. */
export function createFallback(options: FallbackOptions): FallbackService {
  return new Fallback(options)
}

class Fallback implements FallbackService {
  readonly index: MemoryIndex
  readonly #options: FallbackOptions
  readonly #stopping = new AbortController()
  #watermark = new Watermark(allOfIt, 0)
  #queue: Promise<void> = Promise.resolve()
  #loop: Promise<void> | undefined
  #lastError: string | undefined
  #embedderError: string | undefined
  #embedderTriedAt = 0
  #sweptAt = -Infinity
  readonly #keeper: SnapshotKeeper

  constructor(options: FallbackOptions) {
    this.#options = options
    this.index = new MemoryIndex(options.log)
    this.#keeper = new SnapshotKeeper(options)
  }

  status(): FallbackStatus {
    const held = this.index.held
    const { ready, segments } = this.index.status()
    const lastError = this.#lastError ?? this.#embedderError
    const unsaved = this.#keeper.failure
    return {
      ready,
      segments,
      asOf: held?.collection.asOf ?? null,
      engine: held?.engine?.kind ?? 'scan',
      modelId: held?.collection.generation?.id ?? null,
      ...(unsaved === undefined ? {} : { unsaved }),
      ...(lastError === undefined ? {} : { lastError }),
    }
  }

  async start(): Promise<void> {
    await this.#restore()
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    const idle = Promise.allSettled([this.#loop, this.#queue]).then(() => true)
    const waited = new AbortController()
    const timeout = sleep(stopWaitMs, waited.signal).then(
      () => false,
      () => true,
    )
    // What still runs then may be changing the collection: what was saved before has to do.
    if (await Promise.race([idle, timeout])) await this.#save(true)
    waited.abort()
    await this.index.held?.engine?.close()
    await this.index.held?.embedder?.close()
  }

  refresh({ sweep = false }: { sweep?: boolean } = {}): Promise<void> {
    const turn = this.#queue.then(() => this.#turn(sweep))
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  async #run(): Promise<void> {
    const { refreshSeconds, log } = this.#options
    const refreshMs = refreshSeconds * 1000
    const { signal } = this.#stopping
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.refresh()
        if (failures > 0) log.info('the in-memory index follows the cloud again')
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        const facts = { code: this.#lastError, reason: errorMessage(error) }
        if (failures++ === 0) log.warn(facts, 'the in-memory index cannot follow the cloud; it tries on')
        else log.debug(facts, 'the in-memory index cannot follow the cloud')
      }
      const waitMs =
        failures === 0 ? refreshMs : backoffMs({ attempt: failures, baseMs: 250, maxMs: refreshMs })
      await sleep(waitMs, signal).catch(() => undefined)
    }
  }

  async #turn(sweep: boolean): Promise<void> {
    try {
      this.#stopping.signal.throwIfAborted()
      await this.#follow(sweep)
      this.#lastError = undefined
      await this.#retryEmbedder()
    } catch (error) {
      this.#lastError = errorCode(error) ?? 'DATABASE_FAILED'
      throw error
    } finally {
      this.#options.onStatus?.(this.status())
    }
    await this.#save(false)
  }

  async #follow(sweep: boolean): Promise<void> {
    const { pool, log, sweepSeconds = 300 } = this.#options
    const { signal } = this.#stopping
    const held = this.index.held
    const sweepNow = sweep || performance.now() - this.#sweptAt > sweepSeconds * 1000
    if (held !== undefined) {
      const { collection } = held
      const followed = await inCloudSnapshot(pool, signal, (snapshot) =>
        followCloud(snapshot, collection, this.#watermark, sweepNow),
      )
      if (followed.kind !== 'reload') {
        if (sweepNow) this.#sweptAt = performance.now()
        if (followed.kind === 'changed')
          log.debug({ segments: followed.segments }, 'the in-memory index follows')
        if (isCompactionDue(rowsOf(collection))) await this.#use(await collection.compact(createPause()))
        return
      }
      log.info({ reason: followed.reason }, 'the in-memory index is loaded anew')
    }
    const started = performance.now()
    const known = held === undefined || held.embedder === null ? null : held.collection
    const loaded = await inCloudSnapshot(pool, signal, (snapshot) =>
      loadCollection(snapshot, known, createPause()),
    )
    this.#watermark = new Watermark(loaded.newest, Date.now())
    this.#sweptAt = performance.now()
    await this.#use(loaded.collection)
    const tookMs = Math.round(performance.now() - started)
    log.info({ segments: loaded.collection.size, tookMs }, 'the in-memory index is loaded')
  }

  /** Swaps in a collection with an engine of its own; what answered before answers until then. */
  async #use(collection: Collection): Promise<void> {
    const before = this.index.held
    const known = sameGeneration(before?.collection.generation ?? null, collection.generation)
      ? (before?.embedder ?? null)
      : null
    const embedder = known ?? (await this.#openEmbedder(collection))
    if (before === undefined || before.collection.size === 0) {
      // Nothing answers yet, and the scan needs no time to start.
      this.index.use({ collection, engine: await openScan(collection), embedder })
    }
    const engine = await openEngine(collection, this.#options)
    if (this.#stopping.signal.aborted) {
      await engine?.close()
      if (embedder !== this.index.held?.embedder) await embedder?.close()
      return
    }
    this.index.use({ collection, engine, embedder })
    await before?.engine?.close()
    if (before?.embedder !== embedder) await before?.embedder?.close()
  }

  /** Null where there is none to open, or it does not open: then words answer alone. */
  async #openEmbedder(collection: Collection): Promise<Embedder | null> {
    this.#embedderTriedAt = performance.now()
    try {
      const embedder = await openEmbedder(collection, this.#options.openSentenceModel)
      this.#embedderError = undefined
      return embedder
    } catch (error) {
      const code = errorCode(error) ?? 'EMBEDDER_FAILED'
      const level = this.#embedderError === code ? 'debug' : 'warn'
      this.#embedderError = code
      const facts = { code, reason: errorMessage(error) }
      this.#options.log[level](facts, 'the in-memory index cannot embed queries: words answer alone')
      return null
    }
  }

  /** A basis can arrive after its model, and a sentence model be set up later. */
  async #retryEmbedder(): Promise<void> {
    const held = this.index.held
    const generation = held?.collection.generation ?? null
    if (held === undefined || generation === null || held.embedder !== null) return
    if (performance.now() - this.#embedderTriedAt < embedderRetryMs) return
    if (generation.kind === 'lsa') {
      held.collection.basis = await inCloudSnapshot(this.#options.pool, this.#stopping.signal, (snapshot) =>
        readBasis(snapshot, generation),
      )
    }
    this.index.use({ ...held, embedder: await this.#openEmbedder(held.collection) })
  }

  async #save(last: boolean): Promise<void> {
    const collection = this.index.held?.collection
    if (collection !== undefined) await this.#keeper.save(collection, this.#watermark.newest, last)
  }

  async #restore(): Promise<void> {
    const { snapshotPath, log } = this.#options
    await removeLeftovers(snapshotPath)
    try {
      const started = performance.now()
      const restored = await loadSnapshot(snapshotPath)
      if (restored === undefined) return
      const { collection, watermark } = restored
      this.#watermark = new Watermark(watermark, Date.now())
      await this.#use(collection)
      this.#keeper.restored(collection)
      const tookMs = Math.round(performance.now() - started)
      log.info(
        { segments: collection.size, asOf: collection.asOf, tookMs },
        'the in-memory index is restored',
      )
    } catch (error) {
      this.#lastError = errorCode(error) ?? 'SNAPSHOT_REFUSED'
      log.warn({ code: this.#lastError, reason: errorMessage(error) }, 'the snapshot is not used')
    }
    this.#options.onStatus?.(this.status())
  }
}

function rowsOf(collection: Collection) {
  return { base: collection.base, tail: collection.rowCount - collection.base, dead: collection.deadCount }
}
