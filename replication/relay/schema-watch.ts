import type { HomeportError } from '../../core/errors.ts'
import type { CloudDescription } from './cloud-link.ts'
import type { PrimaryFacts } from './primary-facts.ts'
import { judgeSchema } from './start-checks.ts'

export interface SchemaWatchOptions {
  /** what both sides are now */
  readFacts: () => Promise<PrimaryFacts>
  describeCloud: () => Promise<CloudDescription>
  /** for a person */
  say: (text: string) => void
}

/**
 * A schema of today that does not fit may still fit what lies in the log, which was written in yesterday's. So a
 * difference that is seen at a connection is a doubt until the cloud has everything from before that look: what
 * comes in another shape stops the relay at exactly that change (by the relation messages), and there, or here once
 * nothing old is left, the cloud can be given the same change without losing a row.
 */
export class SchemaWatch {
  readonly #options: SchemaWatchOptions
  #doubt: { error: HomeportError; walLsn: string } | null = null

  constructor(options: SchemaWatchOptions) {
    this.#options = options
  }

  /** Compares what both sides say at a connection. */
  look(facts: PrimaryFacts, cloud: CloudDescription): void {
    const error = judgeSchema(facts, cloud)
    if (error !== null && this.#doubt === null) {
      this.#options.say(`${error.message}\nwhat was written before may still fit: going on until it does not`)
    }
    this.#doubt = error === null ? null : { error, walLsn: facts.walLsn }
  }

  /**
   * Looks again once `cloudHas` the log up to where the doubt came up. Trouble of the connections is left to who
   * writes there. False while there is a doubt. @throws HomeportError SCHEMA_MISMATCH when both sides still differ.
   */
  async settle(cloudHas: (walLsn: string) => boolean): Promise<boolean> {
    if (this.#doubt === null) return true
    if (!cloudHas(this.#doubt.walLsn)) return false
    let found: HomeportError | null
    try {
      found = judgeSchema(await this.#options.readFacts(), await this.#options.describeCloud())
    } catch {
      return false
    }
    if (found !== null) throw found
    this.#doubt = null
    return true
  }
}
