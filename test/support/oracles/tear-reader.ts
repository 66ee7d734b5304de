import type pg from 'pg'
import { sleep } from '../../../core/backoff.ts'

/** The bank: every transfer between accounts keeps this sum. Accounts are the lexicon's terms below `accounts`. */
export const bank = { accounts: 10, balance: 1_000_000 } as const

/**
 * Reads the cloud in a loop as a visitor would: the bank's sum holds, no source goes back to an older
 * version (`views`), and no segment lacks what was committed with it.
 */
export class TearReader {
  reads = 0
  readonly violations: string[] = []
  readonly #versions = new Map<string, number>()
  readonly #stop = new AbortController()
  readonly #done: Promise<void>

  constructor(cloud: pg.Pool) {
    this.#done = this.#run(cloud)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  async #run(cloud: pg.Pool): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const seen = await cloud.query<Seen>(statement).catch(() => undefined)
      if (seen?.rows[0] !== undefined) this.#judge(seen.rows[0])
      await sleep(15, signal).catch(() => undefined)
    }
  }

  #judge({ sum, incomplete, versions }: Seen): void {
    this.reads += 1
    const whole = bank.accounts * bank.balance
    if (sum !== null && Number(sum) !== whole) this.violations.push(`the bank holds ${sum}, not ${whole}`)
    if (Number(incomplete) > 0) this.violations.push(`${incomplete} segments lack their words`)
    for (const [id, version] of versions ?? []) {
      const before = this.#versions.get(id) ?? 0
      if (version < before) this.violations.push(`source ${id} went back from ${before} to ${version}`)
      this.#versions.set(id, version)
    }
  }
}

interface Seen {
  sum: string | null
  incomplete: string
  versions: [string, number][] | null
}

// One statement: one snapshot.
const statement = `
  select (select sum(documents) from lexicon where term < ${bank.accounts})::text as sum,
         (select count(*) from segments s
           where not exists (select from segment_terms t where t.segment_id = s.id))::text as incomplete,
         (select json_agg(json_build_array(id::text, views)) from sources where views is not null) as versions`
