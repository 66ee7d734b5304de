import { encodeBegin, encodeCommit, toPlainFrame } from '../../replication/pgoutput/plain-frame.ts'
import type { ReceivedMessage } from './pgoutput-changes.ts'

interface Change {
  /** the (sub)transaction */
  xid: number
  line: string
}

/**
 * Every transaction as lines, in commit order, whatever the way it came: a line is the plain frame of a message
 * and, for a change, of the relation it was sent under. Non-transactional messages apart.
 */
export function wholeTransactions(received: readonly ReceivedMessage[]): {
  transactions: string[][]
  loose: string[]
} {
  const transactions: string[][] = []
  const loose: string[] = []
  const streams = new Map<number, Change[]>()
  const relations = new Map<number, string>()
  let open: string[] = []
  let streamed: Change[] | null = null
  for (const { bytes, inStream, message } of received) {
    switch (message.type) {
      case 'streamStart':
        streamed = streams.get(message.xid) ?? []
        if (message.isFirst !== !streams.has(message.xid))
          throw new Error('a first piece that is not the first')
        streams.set(message.xid, streamed)
        break
      case 'streamStop':
        streamed = null
        break
      case 'streamAbort':
        if (message.subXid === message.xid) streams.delete(message.xid)
        else {
          const kept = streams.get(message.xid)?.filter((change) => change.xid !== message.subXid)
          if (kept !== undefined) streams.set(message.xid, kept)
        }
        break
      case 'streamCommit': {
        const changes = streams.get(message.xid)
        if (changes === undefined) throw new Error('a commit of a transaction that was not streamed')
        streams.delete(message.xid)
        transactions.push([
          encodeBegin(message).toString('hex'),
          ...changes.map((change) => change.line),
          encodeCommit(message).toString('hex'),
        ])
        break
      }
      case 'relation':
        relations.set(message.oid, (inStream ? toPlainFrame(bytes) : bytes).toString('hex'))
        break
      case 'begin':
        open = [bytes.toString('hex')]
        break
      case 'commit':
        transactions.push([...open, bytes.toString('hex')])
        break
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
      case 'message': {
        if (message.type === 'message' && !message.isTransactional) {
          loose.push(bytes.toString('hex'))
          break
        }
        const frame = (inStream ? toPlainFrame(bytes) : bytes).toString('hex')
        const relation = 'relationOid' in message ? relations.get(message.relationOid) : ''
        if (relation === undefined) throw new Error('a change of a relation that was not described')
        if (streamed === null) open.push(`${relation} ${frame}`)
        else streamed.push({ xid: message.xid ?? 0, line: `${relation} ${frame}` })
        break
      }
      case 'type':
      case 'origin':
      case 'twoPhase':
        break
    }
  }
  if (streams.size > 0) throw new Error('streamed transactions without an end')
  return { transactions, loose }
}
