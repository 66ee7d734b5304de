import { setTimeout as sleep } from 'node:timers/promises'
import { HomeportError } from '../../core/errors.ts'
import { describeHolder, pickHolder, type LockHolder } from '../../core/lock-holder.ts'
import { refuseWhenPaused } from './pause.ts'
import type { Primary, Statements } from './primary.ts'

/** A run that was just killed needs a moment until the server has noticed. */
const graceMs = 2000

/**
 * Makes this session the only one that ingests into this database, until it closes.
 *
 * @throws HomeportError INGEST_RUNNING, which names who is at it.
 */
export async function takeIngestLock(primary: Primary): Promise<void> {
  const deadline = Date.now() + graceMs
  for (;;) {
    const [lock] = await primary.rows<{ held: boolean }>('ingest/try-lock')
    if (lock?.held === true) return
    if (Date.now() >= deadline) throw await alreadyRunning(primary)
    await sleep(200)
  }
}

/**
 * What every transaction that writes begins with. The lock belongs to the session: one that was opened anew must
 * not write without it. And nobody may ask ingest to wait.
 *
 * @throws HomeportError INGEST_LOCK_LOST, INGEST_PAUSED.
 */
export async function confirmIngestLock(statements: Statements): Promise<void> {
  const [lock] = await statements.rows<{ held: boolean }>('ingest/confirm-lock')
  if (lock?.held !== true) {
    throw new HomeportError('INGEST_LOCK_LOST', 'the connection was lost, and another ingest has begun', {
      hint: 'let it finish, then run this again',
    })
  }
  await refuseWhenPaused(statements)
}

async function alreadyRunning(primary: Primary): Promise<HomeportError> {
  const holder = pickHolder(await primary.rows<LockHolder>('checks/lock-holders'), 'ingest')
  const who = holder === null ? 'another session' : describeHolder(holder)
  return new HomeportError('INGEST_RUNNING', `another ingest is at work in this database: ${who}`, {
    hint: 'wait until it is done; if it hangs, stop it and run this again: it goes on where that one stopped',
  })
}
