import type { CloudSide } from './cloud-side.ts'
import type { Ending } from './ending.ts'
import type { Flow } from './flow.ts'
import type { SchemaWatch } from './schema-watch.ts'

/** Renews the lease in time, and looks whether the cloud is still what it was. */
export async function keepLease(options: {
  ending: Ending
  cloud: CloudSide
  leaseSeconds: number
  isDelivering: () => boolean
}): Promise<void> {
  const { ending, cloud, leaseSeconds, isDelivering } = options
  await ending.repeat((leaseSeconds * 1000) / 3, async () => {
    await cloud.renew()
    // Nothing may come for hours, and a cloud that was rewound or taken over should be noticed.
    if (cloud.session === null && !isDelivering()) await cloud.reach(ending.stopping)
  })
}

/** Begins the end once the cloud has everything up to a position, and no doubt about the schema is left. */
export async function endWhenCaughtUp(options: {
  ending: Ending
  flow: Flow
  schema: SchemaWatch
  targetLsn: string
  onCaughtUp: () => void
}): Promise<void> {
  const { ending, flow, schema, targetLsn, onCaughtUp } = options
  await ending.repeat(50, async () => {
    if (!flow.cloudHas(targetLsn) || !(await schema.settle(() => true))) return
    onCaughtUp()
    ending.stop()
  })
}
