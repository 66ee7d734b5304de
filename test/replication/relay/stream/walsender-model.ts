import type { PgoutputMessage } from '../../../../replication/pgoutput/messages.ts'
import { encodeMessage, tupleOf } from '../../../support/pgoutput-encoder.ts'

/** What a row is expected to arrive as: its number, under the name that its table had when it was sent. */
export interface ExpectedRow {
  id: number
  table: string
}

export interface ExpectedTransaction {
  xid: number
  endLsn: bigint
  rows: ExpectedRow[]
}

export interface ModelRun {
  messages: Buffer[]
  /** in commit order */
  transactions: ExpectedTransaction[]
}

interface Row extends ExpectedRow {
  xid: number
  oid: number
  isSent: boolean
}

interface Session {
  xid: number
  isStreamed: boolean
  hasBegun: boolean
  /** savepoints from the outermost on, with those that were released into them */
  savepoints: { xid: number; within: number[] }[]
  rows: Row[]
  /** (sub)transactions of which something was sent */
  sent: Set<number>
}

const oids = [11, 12, 13]

/**
 * Several sessions that write, set savepoints, roll back and commit, and what a walsender makes of it (reorderbuffer.c
 * and pgoutput.c): streamed transactions in blocks that interleave, rolled back savepoints one abort each, the inner ones
 * first, descriptions only where it counts them as unknown. `choose(n)` decides everything, from 0 to n - 1.
 */
export function runWalsenderModel(choose: (count: number) => number, steps: number): ModelRun {
  const messages: Buffer[] = []
  const transactions: ExpectedTransaction[] = []
  const sessions: Session[] = []
  /** per table: its version, and who knows it */
  const tables = new Map(oids.map((oid) => [oid, { version: 0, isKnown: false, knownTo: new Set<number>() }]))
  let xid = 100
  let id = 0
  let lsn = 1000n
  const send = (message: PgoutputMessage): void => void messages.push(encodeMessage(message))
  const tableName = (oid: number): string => `t${oid}_${tables.get(oid)?.version ?? 0}`

  const sendRow = (session: Session, row: Row): void => {
    const inBlock = session.isStreamed
    const table = tables.get(row.oid)
    if (table === undefined) return
    if (inBlock ? !table.knownTo.has(session.xid) : !table.isKnown) {
      const own = inBlock ? row.xid : null
      if (row.oid === 13) send({ type: 'type', xid: own, oid: 99_001, schema: 'public', name: 'halfvec' })
      send({
        type: 'relation',
        xid: own,
        oid: row.oid,
        schema: 'public',
        name: tableName(row.oid),
        replicaIdentity: 'd',
        columns: [{ name: 'id', isKey: true, typeOid: row.oid === 13 ? 99_001 : 23, typeModifier: -1 }],
      })
      if (inBlock) table.knownTo.add(session.xid)
      else table.isKnown = true
    }
    row.table = tableName(row.oid)
    row.isSent = true
    session.sent.add(row.xid)
    send({
      type: 'insert',
      xid: inBlock ? row.xid : null,
      relationOid: row.oid,
      new: tupleOf([String(row.id)]),
    })
  }

  const sendBlock = (session: Session): void => {
    send({ type: 'streamStart', xid: session.xid, isFirst: !session.hasBegun })
    session.hasBegun = true
    session.sent.add(session.xid)
    for (const row of session.rows) if (!row.isSent) sendRow(session, row)
    send({ type: 'streamStop' })
  }

  const rollBack = (session: Session, depth: number): void => {
    const gone = session.savepoints.splice(depth)
    const aborted = gone.flatMap((savepoint) => [...savepoint.within, savepoint.xid]).reverse()
    for (const sub of aborted) {
      session.rows = session.rows.filter((row) => row.xid !== sub)
      const abort = { type: 'streamAbort', xid: session.xid, subXid: sub } as const
      if (session.sent.has(sub)) send({ ...abort, abortLsn: null, abortTimeUs: null })
    }
  }

  const end = (session: Session, isCommit: boolean): void => {
    sessions.splice(sessions.indexOf(session), 1)
    for (const table of tables.values()) {
      if (table.knownTo.delete(session.xid) && isCommit) table.isKnown = true
    }
    if (!isCommit) {
      const abort = { type: 'streamAbort', xid: session.xid, subXid: session.xid } as const
      if (session.hasBegun) send({ ...abort, abortLsn: null, abortTimeUs: null })
      return
    }
    const commitLsn = lsn
    // Adjacent as often as not.
    const endLsn = commitLsn + 48n
    lsn = endLsn + BigInt(choose(2) * 100)
    if (!session.isStreamed) {
      send({ type: 'begin', commitLsn, commitTimeUs: 5n, xid: session.xid })
      for (const row of session.rows) sendRow(session, row)
      send({ type: 'commit', commitLsn, endLsn, commitTimeUs: 5n })
    } else send({ type: 'streamCommit', xid: session.xid, commitLsn, endLsn, commitTimeUs: 5n })
    const rows = session.rows.map((row) => ({ id: row.id, table: row.table }))
    transactions.push({ xid: session.xid, endLsn, rows })
  }

  for (let step = 0; step < steps; step++) {
    const session = sessions[choose(sessions.length + 1)]
    if (session === undefined) {
      if (sessions.length >= 4) continue
      sessions.push({
        xid: xid++,
        isStreamed: false,
        hasBegun: false,
        savepoints: [],
        rows: [],
        sent: new Set(),
      })
      continue
    }
    const action = choose(16)
    const inner = session.savepoints.at(-1)
    if (action < 7) {
      const oid = oids[choose(oids.length)] ?? 11
      session.rows.push({ id: id++, table: '', xid: inner?.xid ?? session.xid, oid, isSent: false })
    } else if (action < 9) session.savepoints.push({ xid: xid++, within: [] })
    else if (action === 9 && inner !== undefined) {
      session.savepoints.pop()
      // Outside of any other it belongs to the transaction itself, and is never rolled back alone.
      session.savepoints.at(-1)?.within.push(...inner.within, inner.xid)
    } else if (action === 10 && inner !== undefined) rollBack(session, choose(session.savepoints.length))
    else if (action < 14) {
      session.isStreamed = true
      sendBlock(session)
    } else if (action === 14) {
      if (session.isStreamed && choose(2) === 0) sendBlock(session)
      const isCommit = choose(4) > 0
      if (isCommit && session.isStreamed) sendBlock(session)
      end(session, isCommit)
    } else if (choose(2) === 0) {
      // An ALTER TABLE, or any other invalidation: everybody is told again.
      const table = tables.get(oids[choose(oids.length)] ?? 11)
      if (table === undefined) continue
      table.version += 1
      table.isKnown = false
      table.knownTo.clear()
    } else {
      const loose = { type: 'message', xid: null, isTransactional: false, lsn: 1n, prefix: 'p' } as const
      send({ ...loose, content: Buffer.from('x') })
    }
  }
  return { messages, transactions }
}
