import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { connect } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { describeHolder, findLockHolder, type LockHolder } from '../../core/lock-holder.ts'
import { loadSql } from '../../core/sql.ts'

/** A monitor that was just killed needs a moment until the server has noticed. */
const graceMs = 2000
/** A machine that lost its power, or its network, is forgotten by the server after about a minute. */
const keepalive = { tcp_keepalives_idle: '30', tcp_keepalives_interval: '10', tcp_keepalives_count: '3' }

/** Makes this process the only monitor of a primary, by a lock that a session of its own holds. */
export class MonitorLock {
  readonly #primaryUrl: string
  readonly #answerTimeoutMs: number
  #session: pg.Client | null = null
  /** the session that held it last, as the server knows it */
  #last: Pick<LockHolder, 'pid' | 'since'> | null = null

  /** @param options.answerTimeoutMs a connection without an answer for so long is lost (default 15 s) */
  constructor(primaryUrl: string, options: { answerTimeoutMs?: number } = {}) {
    this.#primaryUrl = primaryUrl
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 15_000
  }

  /**
   * To be called before every look: takes the lock, or makes sure that it is still held; a connection that was lost is
   * opened anew.
   *
   * @throws HomeportError MONITOR_RUNNING, which names who holds it; DATABASE_UNREACHABLE, or the driver's error.
   */
  async hold(): Promise<void> {
    try {
      if (this.#session !== null && (await findLockHolder(this.#session, 'monitor'))?.own === true) return
      await this.release()
      await this.#take()
    } catch (error) {
      await this.release()
      throw error
    }
  }

  /** Lets the next one have it. */
  async release(): Promise<void> {
    const session = this.#session
    this.#session = null
    // A server that hangs does not answer a farewell.
    if (session !== null) await Promise.race([session.end(), delay(1000, undefined, { ref: false })])
  }

  async #take(): Promise<void> {
    const session = await connect({
      connectionString: this.#primaryUrl,
      // pg_stat_activity shows it, and a second monitor names it as the one that it found.
      applicationName: `homeport monitor ${process.pid}@${hostname()}`.slice(0, 63),
      queryTimeoutMs: this.#answerTimeoutMs,
      sessionSettings: keepalive,
    })
    this.#session = session
    const deadline = performance.now() + graceMs
    for (;;) {
      const { rows } = await session.query<{ held: boolean }>(loadSql('monitor/try-lock'))
      const holder = await findLockHolder(session, 'monitor')
      if (rows[0]?.held === true) {
        this.#last = holder
        return
      }
      if (holder !== null && this.#isOurs(holder)) {
        // Our own session from before, whose broken connection the server has not noticed.
        await session.query(loadSql('monitor/end-own-session'), [holder.pid, holder.since])
      } else if (performance.now() >= deadline) throw alreadyRunning(holder)
      await delay(200)
    }
  }

  #isOurs({ pid, since }: LockHolder): boolean {
    return this.#last?.pid === pid && this.#last.since.getTime() === since.getTime()
  }
}

function alreadyRunning(holder: LockHolder | null): HomeportError {
  const who = holder === null ? 'another session' : describeHolder(holder)
  return new HomeportError('MONITOR_RUNNING', `another monitor watches this primary: ${who}`, {
    hint: 'one is enough: ops monitor --once looks beside it; to replace it, stop that one first',
  })
}
