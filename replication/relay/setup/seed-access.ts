import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { createPool } from '../../../core/db.ts'
import type { Logger } from '../../../core/log.ts'
import type { CloudLink, Progress, SeedLink } from '../cloud-link.ts'
import { openDirectLink } from '../direct-link.ts'
import { openGatewayLink } from '../gateway-link.ts'
import type { RelayState } from '../relay-state.ts'
import { directSeed } from '../seed/direct-seed.ts'

/** How the initial copy reaches the cloud: as the relay's role, or through the gateway. */
export type SeedWay = { kind: 'direct'; relayUrl: string } | { kind: 'gateway'; url: string; apiKey: string }

export interface SeedAccess {
  link: CloudLink
  seed: SeedLink
  close(): Promise<void>
}

/** Opens the way for `jobs` parallel copies. */
export function openSeedAccess(options: { way: SeedWay; jobs: number; log: Logger }): SeedAccess {
  const { way, jobs, log } = options
  if (way.kind === 'gateway') {
    const link = openGatewayLink({ url: way.url, apiKey: way.apiKey, log })
    return { link, seed: link.seed, close: () => link.close() }
  }
  const pool = createPool({
    connectionString: way.relayUrl,
    applicationName: 'homeport seed',
    max: jobs + 1,
    connectTimeoutMs: 30_000,
  })
  const link = openDirectLink({
    connectionString: way.relayUrl,
    seed: directSeed,
    log,
    applicationName: 'homeport seed',
  })
  return {
    link,
    seed: directSeed(pool),
    close: async () => {
      await Promise.all([link.close(), pool.end()])
    },
  }
}

export interface TakenLease {
  /** where the cloud is, now that nobody moves it */
  progress: Progress
  /** The progress row says "seeding" now, so that nobody else may write: the lease has done its duty. */
  release(): Promise<void>
  /** Nothing was begun: everything as it was before. */
  undo(): Promise<void>
}

/**
 * Takes the relay's lease, so that no relay writes until the copy has begun.
 * @throws HomeportError RELAY_HELD, exit 1, while a relay runs.
 */
export async function takeLease(link: CloudLink, state: RelayState, what: string): Promise<TakenLease> {
  const { lease, progress } = await link.acquire({
    slot: state.slot,
    holder: randomUUID(),
    holderName: `${what} on ${hostname()} (process ${process.pid})`,
    leaseSeconds: 120,
    // As the cloud knows the primary, which may be another one by now: a copy of everything puts that right.
    systemIdentifier: state.systemIdentifier,
    timeline: state.timeline,
  })
  const { stopCode, stopMessage, stopHint } = state
  return {
    progress,
    // Who says that it stopped lets go of the lease; a copy that is not complete stays one.
    release: () =>
      link.report(lease, { state: 'stopped', stopCode: null, stopMessage: null, stopHint: null }),
    undo: () => link.report(lease, { state: 'stopped', stopCode, stopMessage, stopHint }),
  }
}
