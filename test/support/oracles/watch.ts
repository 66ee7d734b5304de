import { join } from 'node:path'
import type { Test } from 'tap'
import { temporaryFolder } from '../api.ts'
import type { RelayPair } from '../relay-pair.ts'
import { runWorkload, type WorkloadOptions } from '../workload.ts'
import { compareRows, passFence } from './equality.ts'
import { compareLedger, Ledger } from './ledger.ts'
import { compareOnce, installOnce } from './once.ts'
import { SlotSampler, type SamplerOptions } from './slot-sampler.ts'
import { TearReader } from './tear-reader.ts'

/** All five oracles over one pair: ledger, equality, once, slot, tear. */
export interface Watch {
  ledger: Ledger
  sampler: SlotSampler
  reader: TearReader
  /** Writes to the primary, every operation in the ledger. */
  write(options: Pick<WorkloadOptions, 'seed' | 'operations'> & Partial<WorkloadOptions>): Promise<void>
  /** Waits until a relay that runs has brought everything, and asks every oracle. Nobody may be writing. */
  judge(t: Test, after: string, limitMs?: number): Promise<void>
}

/** Begins to watch a pair that is equal now, and that nobody writes to. */
export async function watchPair(
  t: Test,
  pair: RelayPair,
  options: Pick<SamplerOptions, 'spoolEnd'> = {},
): Promise<Watch> {
  const { primary, cloud, slot } = pair
  await installOnce(primary, cloud)
  const ledger = new Ledger(join(temporaryFolder(t), 'ledger'))
  const sampler = new SlotSampler({ primary, cloud, slot, ...options })
  const reader = new TearReader(cloud)
  t.teardown(async () => {
    await Promise.all([sampler.stop(), reader.stop()])
    ledger.close()
  })
  return {
    ledger,
    sampler,
    reader,
    write: (work) => runWorkload({ url: pair.primaryUrl, ledger, ...work }),
    judge: async (t, after, limitMs) => {
      await passFence(primary, cloud, limitMs)
      const findings = [
        ...(await compareLedger(ledger, pair.primaryUrl, 'the primary')),
        ...(await compareLedger(ledger, pair.cloudUrl, 'the cloud')),
        ...(await compareRows(primary, cloud)),
        ...(await compareOnce(primary, cloud)),
        ...sampler.violations,
        ...reader.violations,
      ]
      t.same(findings.slice(0, 20), [], after)
    },
  }
}
