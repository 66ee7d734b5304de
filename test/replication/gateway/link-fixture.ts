import type { Test } from 'tap'
import { createLog } from '../../../core/log.ts'
import type { GatewayLimits } from '../../../replication/gateway/app.ts'
import type { Batch } from '../../../replication/relay/batch.ts'
import type { Applied, ApplyOptions, CloudLink } from '../../../replication/relay/cloud-link.ts'
import { openDirectLink } from '../../../replication/relay/direct-link.ts'
import { fetchRows } from '../../../replication/relay/fetch-rows.ts'
import { openGatewayLink } from '../../../replication/relay/gateway-link.ts'
import { directSeed } from '../../../replication/relay/seed/direct-seed.ts'
import { createFollowing, type Following } from '../relay/apply/fixture.ts'
import { startTestGateway, testKey, type TestGateway } from './support.ts'

export const silent = createLog({ name: 'test', level: 'silent' })

/** A cloud with both ways to it. */
export interface BothWays extends Following {
  direct: CloudLink
  /** through {@link gateway} */
  link: CloudLink
  gateway: TestGateway
  key: string
}

/** A pair that follows by hand, and a gateway in this process in front of its cloud. */
export async function createBothWays(t: Test, limits: Partial<GatewayLimits> = {}): Promise<BothWays> {
  const following = await createFollowing(t)
  const direct = openDirectLink({ connectionString: following.cloudUrl, seed: directSeed, log: silent })
  t.teardown(() => direct.close())
  const databaseUrl = following.cloudUrl
  const gateway = await startTestGateway(t, { databaseUrl, cloud: direct, limits })
  const { key } = await testKey(databaseUrl)
  const link = openLink(t, gateway.url, key)
  return { ...following, direct, link, gateway, key }
}

export function openLink(t: Pick<Test, 'teardown'>, url: string, apiKey: string): CloudLink {
  const link = openGatewayLink({ url, apiKey, log: silent })
  t.teardown(() => link.close())
  return link
}

/** Applies, and fetches from the primary what is asked for. */
export async function applyWhole(
  following: Following,
  link: CloudLink,
  batch: Batch,
  more: Partial<ApplyOptions> = {},
): Promise<Applied> {
  const options = { lease: following.lease, quarantine: false, ...more }
  const outcome = await link.apply(batch, options)
  if (outcome.kind === 'applied') return outcome
  const fetched = await fetchRows(following.primary, outcome.requests)
  const again = await link.apply(batch, { ...options, fetched })
  if (again.kind === 'applied') return again
  throw new Error('it asks for rows again and again')
}

/** What is thrown, as far as the relay looks at it. */
export async function failure(
  work: Promise<unknown>,
): Promise<Record<'code' | 'message' | 'hint', unknown> | null> {
  try {
    await work
    return null
  } catch (error) {
    const { code, message, hint } = error as { code?: unknown; message?: unknown; hint?: unknown }
    return { code, message, hint }
  }
}

/** How many parts wait in the cloud. */
export async function stagedParts(following: Following): Promise<number> {
  return (await following.cloud.query('select from relay_parts')).rowCount ?? 0
}
