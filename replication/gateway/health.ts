import { performance } from 'node:perf_hooks'
import type { Queryable } from '../../core/db.ts'
import { loadSql } from '../../core/sql.ts'

/** What the cloud knows of one relay. */
export interface RelayFacts {
  slot: string
  state: 'seeding' | 'following' | 'stopped' | 'promoted'
  stopCode: string | null
  stopMessage: string | null
  stopHint: string | null
  endLsn: string
  sequence: string
  epoch: string
  holder: string | null
  holderUntil: Date | null
  isHeld: boolean
  updatedAt: Date
  /** rows put aside that nobody has dealt with */
  quarantined: number
  lagSeconds: number | null
}

/** What `/health` tells somebody with a key; without one there are only the first four. */
export interface GatewayHealth {
  status: 'ok' | 'warn' | 'error'
  state: RelayFacts['state'] | 'unknown'
  stop_code: string | null
  lag_seconds: number | null
  /** What is not as it should be; empty when status is ok. */
  problems: string[]
  relays: {
    slot: string
    state: RelayFacts['state']
    stop: { code: string; message: string | null; hint: string | null } | null
    progress: { end_lsn: string; sequence: string; epoch: string; updated_at: string }
    holder: string | null
    held_until: string | null
    quarantined: number
  }[]
}

const lagWarningSeconds = 300

/** Judges what was read; null when the database did not answer. Pure. */
export function judgeHealth(relays: readonly RelayFacts[] | null): GatewayHealth {
  const problems = relays === null ? ['the database does not answer'] : relays.flatMap(problemsOf)
  if (relays?.length === 0) problems.push('no relay has written here yet: ops setup-replication --mode relay')
  const worst = relays?.find((relay) => relay.state === 'stopped') ?? relays?.[0]
  return {
    status: relays === null ? 'error' : problems.length > 0 ? 'warn' : 'ok',
    state: worst?.state ?? 'unknown',
    stop_code: worst?.stopCode ?? null,
    lag_seconds: worst?.lagSeconds ?? null,
    problems,
    relays: (relays ?? []).map(present),
  }
}

function problemsOf(relay: RelayFacts): string[] {
  const lag = relay.lagSeconds ?? 0
  return [
    ...(relay.state === 'stopped'
      ? [`the relay of ${relay.slot} stopped: ${relay.stopCode ?? 'it did not say why'}`]
      : []),
    ...(relay.state === 'promoted'
      ? ['this cloud was promoted: it is a primary, and takes nothing here']
      : []),
    ...(relay.state === 'seeding' ? [`the first copy of ${relay.slot} is not done`] : []),
    ...(relay.state === 'following' && !relay.isHeld
      ? [`no relay of ${relay.slot} has reported lately`]
      : []),
    ...(relay.quarantined > 0 ? [`${relay.quarantined} rows of ${relay.slot} are in quarantine`] : []),
    ...(lag > lagWarningSeconds ? [`the content is ${Math.round(lag)} s behind home`] : []),
  ]
}

function present(relay: RelayFacts): GatewayHealth['relays'][number] {
  return {
    slot: relay.slot,
    state: relay.state,
    stop:
      relay.stopCode === null
        ? null
        : { code: relay.stopCode, message: relay.stopMessage, hint: relay.stopHint },
    progress: {
      end_lsn: relay.endLsn,
      sequence: relay.sequence,
      epoch: relay.epoch,
      updated_at: relay.updatedAt.toISOString(),
    },
    holder: relay.holder,
    held_until: relay.holderUntil?.toISOString() ?? null,
    quarantined: relay.quarantined,
  }
}

export interface HealthReader {
  /** At most a second or two old: whoever asks often is not asking the database. */
  read(): Promise<GatewayHealth>
  readonly lagSeconds: number | null
}

export function createHealthReader(db: Queryable, maxAgeMs = 1_500): HealthReader {
  let last: { health: GatewayHealth; atMs: number } | undefined
  let reading: Promise<GatewayHealth> | undefined
  return {
    async read() {
      if (last !== undefined && performance.now() - last.atMs < maxAgeMs) return last.health
      return (reading ??= look())
    },
    get lagSeconds() {
      return last?.health.lag_seconds ?? null
    },
  }

  async function look(): Promise<GatewayHealth> {
    try {
      const found = await db.query<RelayFacts>(loadSql('gateway/health')).then(
        ({ rows }) => rows,
        // That it does not answer is the answer.
        () => null,
      )
      last = { health: judgeHealth(found), atMs: performance.now() }
      return last.health
    } finally {
      reading = undefined
    }
  }
}
