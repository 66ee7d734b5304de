import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { parseLsn } from '../../core/lsn.ts'
import { loadSql } from '../../core/sql.ts'
import {
  fenceChannel,
  fenceReplyChannel,
  parseReply,
  type FenceReply,
  type FenceRequest,
} from '../fence-messages.ts'
import { readRelayState } from '../relay/relay-state.ts'
import { isFollowing } from '../relay/relay-verdicts.ts'
import type { Snapshot } from './snapshot.ts'

const holdTimeoutMs = 3000
const moveTimeoutMs = 10_000

type OfFence<Request> = Request extends { id: string } ? Omit<Request, 'id'> : never

/** A relay that stands still for a moment, at a position that was not known when it was asked to. */
export class RelayFence {
  readonly #session: pg.PoolClient
  readonly #id = randomUUID()
  readonly #slot: string
  /** where the relay says that the cloud is */
  #endLsn: string | null = null
  #onReply: (reply: FenceReply) => void = () => undefined

  private constructor(session: pg.PoolClient, slot: string) {
    this.#session = session
    this.#slot = slot
    session.on('notification', ({ payload }) => {
      const reply = parseReply(payload)
      if (reply?.id === this.#id) this.#onReply(reply)
    })
  }

  /**
   * Stops the relay where it is. Null where none follows, or it does not answer in time: it is busy with a large batch or a
   * cloud that is away, empties its spool, or is held by another comparison.
   */
  static async hold(servers: { primary: pg.Pool; cloud: pg.Pool }): Promise<RelayFence | null> {
    const relay = await readRelayState(servers.cloud)
    if (relay === null || !isFollowing(relay)) return null
    const session = await servers.primary.connect()
    const fence = new RelayFence(session, relay.slot)
    try {
      await session.query(`listen ${fenceReplyChannel}`)
      const reply = await fence.#ask({ op: 'hold' }, holdTimeoutMs)
      if (reply?.state === 'held') return fence
      await fence.release()
      return null
    } catch (error) {
      session.release(true)
      throw error
    }
  }

  /**
   * Lets it go on exactly to this position: the cloud has the commits that ended there or before, and no other. False
   * when it did not get there in time.
   */
  async moveTo(lsn: string): Promise<boolean> {
    const reply = await this.#ask({ op: 'until', lsn }, moveTimeoutMs)
    if (reply?.state !== 'at') return false
    this.#endLsn = reply.endLsn
    return true
  }

  /** Whether a snapshot of the cloud shows what the relay said of it: exactly its last commit, and none beyond this position. */
  async isShownBy(cloud: Snapshot, lsn: string): Promise<boolean> {
    const { rows } = await cloud.client.query<{ endLsn: string }>(loadSql('verify/relay-position'), [
      this.#slot,
    ])
    const endLsn = rows[0]?.endLsn
    return endLsn !== undefined && endLsn === this.#endLsn && parseLsn(endLsn) <= parseLsn(lsn)
  }

  /** Lets it go on; without this it does so by itself after a while. */
  async release(): Promise<void> {
    try {
      await this.#send({ id: this.#id, op: 'release' })
    } finally {
      this.#session.release(true)
    }
  }

  async #ask(request: OfFence<FenceRequest>, timeoutMs: number): Promise<FenceReply | null> {
    let timer: NodeJS.Timeout | undefined
    const reply = new Promise<FenceReply | null>((resolve) => {
      this.#onReply = resolve
      timer = setTimeout(() => resolve(null), timeoutMs)
    })
    try {
      await this.#send({ ...request, id: this.#id })
      return await reply
    } finally {
      clearTimeout(timer)
    }
  }

  async #send(request: FenceRequest): Promise<void> {
    await this.#session.query(loadSql('verify/notify'), [fenceChannel, JSON.stringify(request)])
  }
}
