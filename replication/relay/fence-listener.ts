import { backoffMs, sleep } from '../../core/backoff.ts'
import { connect, type Queryable } from '../../core/db.ts'
import type { Logger } from '../../core/log.ts'
import { parseLsn } from '../../core/lsn.ts'
import { loadSql } from '../../core/sql.ts'
import {
  fenceChannel,
  fenceReplyChannel,
  parseRequest,
  type FenceReply,
  type FenceRequest,
} from '../fence-messages.ts'
import type { FenceGate } from './fence-gate.ts'

/** The part of the flow that a fence looks at. */
export interface Fenced {
  readonly gate: FenceGate
  readonly durableLsn: string
  /** why no fence can stand now, in words; null when it can */
  readonly fenceTrouble: string | null
  /** a batch is being settled */
  readonly isSettling: boolean
  /** Whether everything that ended there or before was taken from the stream. */
  hasTaken(lsn: bigint): boolean
}

export interface FenceListenerOptions {
  /** of the primary */
  connectionString: string
  applicationName: string
  flow: Fenced
  stopping: AbortSignal
  log: Logger
}

const pollMs = 2

/**
 * Lets comparisons hold the relay still, until `stopping`. Without its connection nobody can; nothing else depends on
 * it, so trouble with it is only tried again.
 */
export async function listenForFences(options: FenceListenerOptions): Promise<void> {
  const { stopping, log } = options
  for (let attempt = 0; !stopping.aborted; attempt += 1) {
    try {
      await listen(options, () => (attempt = 0))
    } catch (error) {
      log.debug({ err: error }, 'fences cannot be asked for')
    }
    await sleep(backoffMs({ attempt, baseMs: 500, maxMs: 15_000 }), stopping).catch(() => undefined)
  }
}

async function listen(options: FenceListenerOptions, onWorking: () => void): Promise<void> {
  const { connectionString, applicationName, stopping } = options
  const session = await connect({ connectionString, applicationName: `${applicationName} fence` })
  let end: () => void = () => undefined
  const over = new Promise<void>((resolve) => (end = resolve))
  session.on('end', end)
  stopping.addEventListener('abort', end, { once: true })
  session.on('notification', ({ payload }) => {
    const request = parseRequest(payload)
    if (request !== null) void answer(options, session, request)
  })
  try {
    await session.query(`listen ${fenceChannel}`)
    onWorking()
    if (!stopping.aborted) await over
  } finally {
    stopping.removeEventListener('abort', end)
    await session.end().catch(() => undefined)
  }
}

async function answer(
  options: FenceListenerOptions,
  session: Queryable,
  request: FenceRequest,
): Promise<void> {
  try {
    const reply = await carryOut(options, request)
    if (reply === null) return
    await session.query(loadSql('verify/notify'), [fenceReplyChannel, JSON.stringify(reply)])
  } catch (error) {
    // Whoever asked hears nothing, gives up and compares without a fence.
    options.flow.gate.release(request.id)
    options.log.debug({ err: error }, 'a fence was not answered')
  }
}

async function carryOut({ flow }: FenceListenerOptions, request: FenceRequest): Promise<FenceReply | null> {
  const { gate } = flow
  const { id } = request
  const refused = (reason: string): FenceReply => {
    gate.release(id)
    return { id, state: 'refused', reason }
  }
  if (request.op === 'release') {
    gate.release(id)
    return null
  }
  const isThere = (lsn: bigint): boolean => !flow.isSettling && (lsn === 0n || flow.hasTaken(lsn))
  const limit = request.op === 'until' ? parseLsn(request.lsn) : 0n
  if (request.op === 'hold' ? !gate.hold(id) : !gate.moveTo(id, limit)) {
    return { id, state: 'refused', reason: 'another comparison holds the relay, or it was held for too long' }
  }
  while (!isThere(limit)) {
    if (!gate.isHeldBy(id)) return refused('it took too long')
    await sleep(pollMs)
  }
  if (flow.fenceTrouble !== null) return refused(flow.fenceTrouble)
  if (request.op === 'hold') return { id, state: 'held' }
  return { id, state: 'at', lsn: request.lsn, endLsn: flow.durableLsn }
}
