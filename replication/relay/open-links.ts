import type { CloudLink } from './cloud-link.ts'
import type { Transport } from './transport-choice.ts'

/** The links that are in use, each opened when it is first asked for, and again after it was discarded. */
export class OpenLinks {
  readonly #open: Readonly<Partial<Record<Transport, () => CloudLink>>>
  readonly #links = new Map<Transport, CloudLink>()

  constructor(open: Readonly<Partial<Record<Transport, () => CloudLink>>>) {
    this.#open = open
  }

  get(transport: Transport): CloudLink {
    const known = this.#links.get(transport)
    if (known !== undefined) return known
    const link = this.#open[transport]?.()
    if (link === undefined) throw new Error(`there is no ${transport} link`)
    this.#links.set(transport, link)
    return link
  }

  /** A link may keep connections that a middlebox has forgotten, each of which would be found dead in its own time. */
  discard(transport: Transport): void {
    const link = this.#links.get(transport)
    this.#links.delete(transport)
    // What hangs is not waited for, and what fails now was given up before.
    link?.close().catch(() => undefined)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()))
  }
}
