import type pg from 'pg'
import { readDatabaseIdentity } from '../../core/database-identity.ts'
import { publishedTables } from '../../core/published-tables.ts'
import type { Finding } from '../finding.ts'
import { readHealth, type ReplicationHealth } from '../health.ts'
import { judgeSchema } from '../schema-verdicts.ts'
import { readServerFacts, type ServerFacts } from '../server-facts.ts'
import type { SlotFacts } from '../slot.ts'
import { readTableFacts } from '../table-facts.ts'
import { lookAtLog, type HomeLook, type LogHistory } from './home-look.ts'
import type { MonitorSample } from './sample.ts'
import { endOf, judgeVersions } from './verdicts.ts'

export interface Servers {
  primary: pg.Pool
  cloud: pg.Pool
}

/** Both servers at one moment, content and schema aside. */
export interface ServerLook extends HomeLook {
  health: ReplicationHealth
  /** as readDatabaseIdentity names the cloud */
  cloudIdentity: string | null
}

export interface LookOptions extends Servers {
  before?: { health?: ReplicationHealth; log: LogHistory }
  /** where the primary's data is on this machine, where the server does not say it */
  dataFolder?: string
}

export async function lookAtServers(options: LookOptions): Promise<ServerLook> {
  const { primary, cloud, before, dataFolder } = options
  const health = await readHealth(primary, cloud, before?.health)
  const cloudIdentity = await readDatabaseIdentity(cloud)
  const home = await lookAtLog(health.slot, {
    primary,
    cloudIdentity,
    ...(before === undefined ? {} : { log: before.log }),
    ...(dataFolder === undefined ? {} : { dataFolder }),
  })
  return { health, cloudIdentity, ...home }
}

/** What changes seldom on both servers: versions and schema. */
export interface Fittings {
  primary: ServerFacts
  cloud: ServerFacts
  findings: readonly Finding[]
}

export async function readFittings({ primary, cloud }: Servers): Promise<Fittings> {
  const [ours, theirs, ourTables, theirTables] = await Promise.all([
    readServerFacts(primary),
    readServerFacts(cloud),
    readTableFacts(primary, publishedTables),
    readTableFacts(cloud, publishedTables),
  ])
  const schema = judgeSchema({ tables: publishedTables, primary: ourTables, cloud: theirTables })
  return { primary: ours, cloud: theirs, findings: [...judgeVersions(ours, theirs), ...schema] }
}

/** Pure: a look as it is kept and shown; without `health` it is one at the primary alone. */
export function toSample(
  look: (HomeLook & Partial<ServerLook>) | null,
  more: Pick<MonitorSample, 'at' | 'recall' | 'unreachable'>,
  last: MonitorSample | null,
): MonitorSample {
  const { at, recall, unreachable } = more
  if (look === null) {
    return {
      at,
      lag: { bytes: null, seconds: null },
      slot: null,
      forecast: null,
      disk: null,
      walBytesPerSecond: null,
      // What was proven stays what it was.
      tables: last?.tables ?? [],
      recall,
      mode: last?.mode ?? null,
      unreachable,
    }
  }
  const { slot, forecast, health } = look
  return {
    at,
    lag: health?.lag ?? { bytes: null, seconds: null },
    slot: slot === null ? null : sampleSlot(slot),
    forecast: forecast === null ? null : { seconds: forecast.seconds, what: endOf(forecast) },
    disk: look.disk,
    walBytesPerSecond: look.walBytesPerSecond,
    tables: look.proofs,
    recall,
    mode: health === undefined ? (last?.mode ?? null) : modeOf(health),
    unreachable,
  }
}

function modeOf({ relay, subscription }: ReplicationHealth): MonitorSample['mode'] {
  return relay !== null ? 'relay' : subscription !== null ? 'native' : null
}

/** A slot as it is kept and shown: sizes as numbers. */
export function sampleSlot(slot: SlotFacts): NonNullable<MonitorSample['slot']> {
  const { name, active, walStatus, safeWalBytes, retainedBytes } = slot
  return {
    name,
    active,
    walStatus,
    safeWalBytes: safeWalBytes === null ? null : Number(safeWalBytes),
    retainedBytes: Number(retainedBytes),
  }
}
