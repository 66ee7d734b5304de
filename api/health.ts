import { overallVerdict, secondsSince, type Facts } from './pulse.ts'
import type { RoleVerdict } from './role-proof.ts'
import type { AnsweringModel } from './search/engine.ts'

export interface MemoryStatus {
  ready: boolean
  segments: number
  asOf: Date | null
  engine: 'faiss' | 'scan'
  modelId: number | null
  /** Why its file is not up to date, as a code. */
  unsaved?: string
}

export interface HealthInput {
  now: Date
  facts: Facts
  source: 'postgres' | 'memory' | null
  memory: MemoryStatus
  role: RoleVerdict
  model: AnsweringModel | null
  modelProblem: string | null
  apiOnly: boolean
  ingestionEnabled: boolean
}

/** What `/health` answers; the names up to `last_updated` are those its users' monitors already read. */
export interface HealthReport {
  status: 'ok' | 'warn' | 'error'
  mode: 'api_only' | 'full'
  gpu_available: false
  ingestion_enabled: boolean
  database_mode: 'read-only' | 'writable' | 'unproven' | 'unreachable'
  total_segments: number | null
  last_updated: string | null
  /** What is not as it should be, worst first; empty when status is ok. */
  problems: string[]
  source: 'postgres' | 'memory' | null
  as_of: string | null
  lag_seconds: number | null
  last_verified: {
    verdict: string
    at: string
    /** when the last of all tables was compared row by row and was the same; at may rest on what changed since */
    full_at: string | null
    tables: { table: string; verdict: string; at: string; full_at: string | null }[]
  } | null
  fallback: { ready: boolean; segments: number; as_of: string | null; engine: string }
  role: { name: string | null; read_only: boolean | null; override: boolean; remarks: readonly string[] }
  model: AnsweringModel | null
}

/** Lag past this is worth a warning: home beats every few seconds. */
const lagWarningSeconds = 300

/** Judges the api: error when it cannot or must not answer from anywhere, warn when something is amiss. */
export function reportHealth(input: HealthInput): HealthReport {
  const { facts, source, memory, role, now } = input
  const asOf = source === 'memory' ? memory.asOf : facts.beatAt
  const lagSeconds = secondsSince(asOf, now)
  const verified = overallVerdict(facts.verifications)
  const refused = role.state === 'writable' && !role.overridden
  const errors = [
    ...(source === null ? ['neither the database nor the index in memory can answer'] : []),
    ...(refused ? [`role ${role.role} can write, so the database is not used`] : []),
  ]
  const warnings = [
    ...(facts.reachable === false && !refused ? ['the database does not answer'] : []),
    ...(source === 'memory' ? ['answers come from memory'] : []),
    ...(source === 'postgres' && facts.totalSegments === 0
      ? ['the database holds nothing to search: wait for the first copy, or ask ops status']
      : []),
    ...(verified?.verdict === 'drift' ? ['the last verification found drift'] : []),
    ...(lagSeconds !== null && lagSeconds > lagWarningSeconds
      ? [`the content is ${Math.round(lagSeconds)} s behind home`]
      : []),
    ...(role.state === 'writable' && role.overridden
      ? [`role ${role.role} can write (allowed by ALLOW_WRITABLE_ROLE)`]
      : []),
    ...(input.modelProblem === null ? [] : ['the active embedding generation cannot be used here']),
    ...(memory.ready ? [] : ['the index in memory is not ready']),
    ...(memory.unsaved === undefined
      ? []
      : [
          `the index in memory cannot be saved (${memory.unsaved}): a start without the database has no answers`,
        ]),
  ]
  return {
    status: errors.length > 0 ? 'error' : warnings.length > 0 ? 'warn' : 'ok',
    mode: input.apiOnly ? 'api_only' : 'full',
    gpu_available: false,
    ingestion_enabled: input.ingestionEnabled,
    database_mode: databaseMode(facts, role),
    total_segments: facts.totalSegments ?? (memory.ready ? memory.segments : null),
    last_updated: facts.lastUpdated?.toISOString() ?? null,
    problems: [...errors, ...warnings],
    source,
    as_of: asOf?.toISOString() ?? null,
    lag_seconds: lagSeconds,
    last_verified:
      verified === null
        ? null
        : {
            verdict: verified.verdict,
            at: verified.at.toISOString(),
            full_at: verified.fullAt?.toISOString() ?? null,
            tables: facts.verifications.map(({ table, verdict, at, fullAt }) => ({
              table,
              verdict,
              at: at.toISOString(),
              full_at: fullAt?.toISOString() ?? null,
            })),
          },
    fallback: {
      ready: memory.ready,
      segments: memory.segments,
      as_of: memory.asOf?.toISOString() ?? null,
      engine: memory.engine,
    },
    role: {
      name: role.state === 'unproven' ? null : role.role,
      read_only: role.state === 'unproven' ? null : role.state === 'read-only',
      override: role.state === 'writable' && role.overridden,
      remarks: role.state === 'read-only' ? role.remarks : [],
    },
    model: input.model,
  }
}

function databaseMode(facts: Facts, role: RoleVerdict): HealthReport['database_mode'] {
  if (role.state === 'writable') return 'writable'
  if (facts.reachable === false) return 'unreachable'
  return role.state === 'unproven' ? 'unproven' : 'read-only'
}
