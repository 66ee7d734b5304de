import { join } from 'node:path'
import type { Test } from 'tap'
import { publishedTables, type PublishedTable } from '../../../core/published-tables.ts'
import { readServerFacts } from '../../../replication/server-facts.ts'
import { Checkpoint } from '../../../replication/verify/checkpoint.ts'
import {
  verifyExact,
  type ResumedVerification,
  type VerifyExactOptions,
} from '../../../replication/verify/verify-exact.ts'
import { temporaryFolder } from '../../support/api.ts'
import { said } from './plants.ts'

export type Followed = Pick<VerifyExactOptions, 'primary' | 'cloud' | 'replicationUrl'>

type RunOptions = Omit<Partial<VerifyExactOptions>, 'tables' | 'signal' | 'onProgress'> & {
  /** names of tables */
  tables?: readonly string[]
  anew?: boolean
}

/** Comparisons of one pair that keep how far they came in one folder. */
export class ResumableRuns {
  readonly folder: string
  /** what the last run said */
  notes: string[] = []
  readonly #pair: Followed

  constructor(t: Test, pair: Followed) {
    this.#pair = pair
    this.folder = join(temporaryFolder(t), 'verify')
  }

  /** To its end. */
  async run(options: RunOptions = {}): Promise<ResumedVerification[]> {
    return this.#run(options)
  }

  /** Stopped after so many chunks; false when it came to its end before. */
  async stop(chunks: number, options: RunOptions = {}): Promise<boolean> {
    const stop = new AbortController()
    const reason = new Error('stopped here')
    let left = chunks
    const onProgress = (): void => {
      left -= 1
      if (left === 0) stop.abort(reason)
    }
    try {
      await this.#run(options, { signal: stop.signal, onProgress })
      return false
    } catch (error) {
      if (error === reason) return true
      throw error
    }
  }

  async #run(
    { anew, tables, tier, ...options }: RunOptions,
    more: Pick<VerifyExactOptions, 'signal' | 'onProgress'> = {},
  ): Promise<ResumedVerification[]> {
    const [primary, cloud] = await Promise.all([
      readServerFacts(this.#pair.primary),
      readServerFacts(this.#pair.cloud),
    ])
    this.notes = []
    const checkpoint = Checkpoint.open({
      folder: this.folder,
      servers: { primary, cloud },
      tier: tier ?? 'both',
      anew: anew === true,
      note: (text) => this.notes.push(text),
    })
    const chosen = tables === undefined ? {} : { tables: tablesOf(tables) }
    try {
      return await verifyExact({
        ...this.#pair,
        record: false,
        leafRows: 100,
        tier: tier ?? 'both',
        ...options,
        ...chosen,
        ...more,
        checkpoint,
      })
    } finally {
      checkpoint?.close()
    }
  }
}

function tablesOf(names: readonly string[]): PublishedTable[] {
  return publishedTables.filter((table) => names.includes(table.name))
}

/** What runs said of each table, without the position and what was reused. */
export function verdictsOf(results: readonly ResumedVerification[]): unknown {
  const tables = results.map(({ table, verdict, primaryRows, cloudRows }) =>
    [table, verdict, primaryRows, cloudRows].join(' '),
  )
  return { tables, ...said(results) }
}

export function reusedRows(results: readonly ResumedVerification[], table?: string): number {
  return results
    .filter((one) => table === undefined || one.table === table)
    .reduce((sum, one) => sum + one.rowsFromEarlier, 0)
}
