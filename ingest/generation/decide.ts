/** A row of `models` with what the decision needs. */
export interface GenerationRow {
  id: number
  name: string
  kind: 'lsa' | 'onnx'
  fingerprint: string
  dimensions: number
  state: 'building' | 'active' | 'retired'
  fitted_segments: number | null
  /** Public segments deleted since this generation was made. */
  deleted_since: number
}

/** What the configuration asks for. A lexical generation has no fingerprint before it is fitted. */
export type WantedModel = { kind: 'lsa' } | { kind: 'onnx'; fingerprint: string }

export interface GenerationState {
  wanted: WantedModel
  segments: number
  publicSegments: number
  generations: readonly GenerationRow[]
  /** Make a new generation even when the active one would do. */
  force: boolean
}

export interface GenerationDecision {
  /**
   * none: there is nothing to make vectors of. keep: the active one stays, missing vectors are filled in.
   * finish: the one being built is completed. build: a new one is made.
   */
  action: 'none' | 'keep' | 'finish' | 'build'
  /** The generation to keep or finish. */
  use: GenerationRow | null
  /** Generations that were being built and are of no use any more. */
  abandon: number[]
}

/** A lexical basis is fitted again when so much of what it was fitted on came or went. */
export const refitShare = 0.2
/** Word statistics are counted again when so much of what was counted came or went. */
export const recountShare = 0.05

export interface Turnover {
  before: number
  now: number
  deletedSince: number
}

/**
 * The part of a collection that came or went since it had `before` documents, whichever is more, so that
 * replacing every document counts as much as doubling them.
 */
export function changedShare({ before, now, deletedSince }: Turnover): number {
  const added = Math.max(0, now - before + deletedSince)
  const changed = Math.max(added, deletedSince)
  if (changed === 0) return 0
  return before === 0 ? Infinity : changed / before
}

/** Decides what becomes of the generations of vectors. */
export function decideGeneration(state: GenerationState): GenerationDecision {
  const active = state.generations.find((row) => row.state === 'active') ?? null
  const building = state.generations.filter((row) => row.state === 'building')
  const others = (kept: GenerationRow | null): number[] =>
    building.filter((row) => row.id !== kept?.id).map((row) => row.id)

  if (state.segments === 0 && active === null) return { action: 'none', use: null, abandon: others(null) }
  if (!state.force) {
    if (active !== null && serves(active, state)) {
      return { action: 'keep', use: active, abandon: others(null) }
    }
    const begun = building.findLast((row) => serves(row, state))
    if (begun !== undefined) return { action: 'finish', use: begun, abandon: others(begun) }
  }
  // A basis cannot be fitted on nothing: what there is stays.
  if (state.wanted.kind === 'lsa' && state.publicSegments === 0) {
    const kept = active?.kind === 'lsa' ? active : null
    return { action: kept === null ? 'none' : 'keep', use: kept, abandon: others(null) }
  }
  return { action: 'build', use: null, abandon: others(null) }
}

function serves(row: GenerationRow, { wanted, publicSegments }: GenerationState): boolean {
  if (wanted.kind === 'onnx') return row.kind === 'onnx' && row.fingerprint === wanted.fingerprint
  if (row.kind !== 'lsa' || row.fitted_segments === null) return false
  const turnover = { before: row.fitted_segments, now: publicSegments, deletedSince: row.deleted_since }
  return changedShare(turnover) < refitShare
}
