import type pg from 'pg'
import type { Queryable } from '../core/db.ts'
import { identifier, loadSql, renderSql } from '../core/sql.ts'
import { safeParallelBuilds } from './server-verdicts.ts'
import { compareVersions, readServerFacts } from './server-facts.ts'

export interface ModelFacts {
  id: number
  dimensions: number
  state: 'building' | 'active' | 'retired'
}

export interface VectorIndexFacts {
  name: string
  /** false for one whose build was cut off */
  valid: boolean
  bytes: string
}

export interface VectorIndexState {
  models: readonly ModelFacts[]
  indexes: readonly VectorIndexFacts[]
}

export interface VectorIndexPlan {
  drop: readonly string[]
  create: ModelFacts | null
  /** the active model's index is there and valid */
  present: boolean
}

export interface VectorIndexReport {
  /** the active model, null when there is none */
  model: number | null
  created: boolean
  dropped: readonly string[]
  seconds: number
}

export function vectorIndexName(model: number): string {
  return `embeddings_model_${model}`
}

export async function readVectorIndexState(db: Queryable): Promise<VectorIndexState> {
  const models = await db.query<ModelFacts>(loadSql('checks/models'))
  const indexes = await db.query<VectorIndexFacts>(loadSql('checks/vector-indexes'))
  return { models: models.rows, indexes: indexes.rows }
}

/** One index, for the active model; those of models that are gone or retired, or that broke, go. */
export function planVectorIndex(state: VectorIndexState): VectorIndexPlan {
  const active = state.models.find((model) => model.state === 'active') ?? null
  const kept = new Set(
    state.models.filter((model) => model.state !== 'retired').map((model) => vectorIndexName(model.id)),
  )
  const drop = state.indexes
    .filter((index) => !index.valid || !kept.has(index.name))
    .map((index) => index.name)
  const present =
    active !== null && state.indexes.some((index) => index.valid && index.name === vectorIndexName(active.id))
  return { drop, create: present ? null : active, present }
}

export interface EnsureVectorIndexOptions {
  cloud: pg.Pool
  onNote?: (text: string) => void
}

/**
 * Builds the vector index of the active model where it is missing, without blocking readers or the
 * subscription, and drops those of models that are gone. Safe to run again when it was cut off.
 */
export async function ensureVectorIndex(options: EnsureVectorIndexOptions): Promise<VectorIndexReport> {
  const state = await readVectorIndexState(options.cloud)
  const plan = planVectorIndex(state)
  const active = state.models.find((model) => model.state === 'active') ?? null
  const startedAt = performance.now()
  const client = await options.cloud.connect()
  try {
    await client.query('set statement_timeout = 0')
    for (const name of plan.drop) {
      options.onNote?.(`dropping the vector index ${name}`)
      await client.query(renderSql('replication/drop-vector-index', { index: identifier(name) }))
    }
    if (plan.create !== null) {
      const model = plan.create
      options.onNote?.(`building the vector index ${vectorIndexName(model.id)}`)
      const { rows } = await client.query<{ rows: string }>(loadSql('checks/model-rows'), [model.id])
      const memoryMb = buildMemoryMb(Number(rows[0]?.rows ?? 0), model.dimensions)
      await client.query(`set maintenance_work_mem = '${memoryMb}MB'`)
      const { pgvector } = await readServerFacts(client)
      if (pgvector === null || compareVersions(pgvector, safeParallelBuilds) < 0) {
        await client.query('set max_parallel_maintenance_workers = 0')
      }
      const sql = loadSql('replication/create-vector-index', {
        model: model.id,
        dimensions: model.dimensions,
      })
      await client.query(sql)
    }
  } finally {
    // The settings must not outlive the build.
    client.release(true)
  }
  return {
    model: active?.id ?? null,
    created: plan.create !== null,
    dropped: plan.drop,
    seconds: (performance.now() - startedAt) / 1000,
  }
}

/** Drops every vector index before many rows come in; {@link ensureVectorIndex} builds the active one after. */
export async function dropVectorIndexes(cloud: Queryable, onNote?: (text: string) => void): Promise<void> {
  const { indexes } = await readVectorIndexState(cloud)
  for (const { name } of indexes) {
    onNote?.(`dropping the vector index ${name}: it is built again after the copy`)
    await cloud.query(renderSql('replication/drop-vector-index', { index: identifier(name) }))
  }
}

/**
 * Memory for a build that stays in it: two bytes a dimension and about 600 for a node's neighbours at
 * m = 16; between 64 MB (Postgres's default) and 512 MB, because the cloud server is small.
 */
export function buildMemoryMb(rows: number, dimensions: number): number {
  const needed = Math.ceil((rows * (dimensions * 2 + 600)) / 2 ** 20)
  return Math.max(64, Math.min(512, needed))
}
