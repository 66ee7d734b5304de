import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { queryRows } from '../databases.ts'

/** `info`: nobody can know, because the connection broke before an answer came. After Jepsen. */
export type Outcome = 'acked' | 'failed' | 'info'

interface Entry {
  operation: number
  payload: string
  outcome: Outcome
}

/**
 * What a writer was told, on disk before it goes on. An operation leaves a row of its own in the published
 * table `verifications`, in its own transaction, so both servers can be asked which ones they have.
 */
export class Ledger {
  /** Tells the rows of this ledger from those of others. */
  readonly prefix = `operation ${randomBytes(4).toString('hex')}`
  readonly #file: string
  readonly #descriptor: number
  #last = 0

  constructor(file: string) {
    this.#file = file
    this.#descriptor = openSync(file, 'a')
  }

  /** Begins an operation; until it ends, its outcome is unknown. */
  begin(payload: string): { operation: number; row: [name: string, hash: string] } {
    this.#last += 1
    const operation = this.#last
    const hash = payloadHash(payload)
    this.#write({ operation, payload: hash, outcome: 'info' })
    return { operation, row: [`${this.prefix} ${operation}`, hash] }
  }

  end(operation: number, outcome: Outcome): void {
    this.#write({ operation, payload: '', outcome })
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  /** Operations by number, with what their writers know. */
  read(): Map<number, Entry> {
    const entries = new Map<number, Entry>()
    for (const line of readFileSync(this.#file, 'utf8').split('\n').filter(Boolean)) {
      const entry = JSON.parse(line) as Entry
      const begun = entries.get(entry.operation)
      entries.set(entry.operation, begun === undefined ? entry : { ...begun, outcome: entry.outcome })
    }
    return entries
  }

  #write(entry: Entry): void {
    writeSync(this.#descriptor, `${JSON.stringify(entry)}\n`)
    fsyncSync(this.#descriptor)
  }
}

function payloadHash(payload: string): string {
  return createHash('sha256').update(payload).digest().readBigInt64BE().toString()
}

/** acked ⊆ server ⊆ acked ∪ info, with the payload that was sent. What is wrong, in words. */
export async function compareLedger(ledger: Ledger, url: string, side: string): Promise<string[]> {
  const rows = await queryRows<{ operation: number; hash: string }>(
    url,
    `select split_part(table_name, ' ', 3)::int as operation, row_count::text as hash
     from verifications where table_name like $1 || ' %'`,
    [ledger.prefix],
  )
  const has = new Map(rows.map((row) => [row.operation, row.hash]))
  const wrong: string[] = []
  const entries = ledger.read()
  for (const { operation, payload, outcome } of entries.values()) {
    const hash = has.get(operation)
    if (hash === undefined && outcome === 'acked') wrong.push(`${side} lost operation ${operation}`)
    if (hash !== undefined && outcome === 'failed') wrong.push(`${side} has failed operation ${operation}`)
    if (hash !== undefined && hash !== payload) wrong.push(`${side} changed operation ${operation}`)
  }
  for (const operation of has.keys()) {
    if (!entries.has(operation)) wrong.push(`${side} has operation ${operation}, which nobody sent`)
  }
  return wrong
}
