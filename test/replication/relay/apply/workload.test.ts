import { join } from 'node:path'
import t, { type Test } from 'tap'
import { formatLsn } from '../../../../core/lsn.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { Ledger } from '../../../support/oracles/ledger.ts'
import { compareOnce, installOnce } from '../../../support/oracles/once.ts'
import { pick, randomNumbers } from '../../../support/random.ts'
import { prepareWorkload, runWorkload } from '../../../support/workload.ts'
import { applyFetching, createFollowing, type Following, type SentTransaction } from './fixture.ts'

const seeds = [1, 2]

for (const seed of seeds) {
  t.test(`batches cut anywhere, sent again and overlapping take effect once (seed ${seed})`, async (t) => {
    const following = await createFollowing(t)
    const { primary, cloud } = following
    await prepareWorkload(primary)
    await following.follow()
    await installOnce(primary, cloud)
    await write(t, following, seed)
    const transactions = await following.take({ binary: seed % 2 === 1 })
    t.ok(transactions.length > 50, `${transactions.length} transactions`)
    await deliverAtRandom(t, following, transactions, randomNumbers(seed))
    t.same(await compareRows(primary, cloud), [])
    t.same(await compareOnce(primary, cloud), [])
    const { rows } = await cloud.query('select from relay_conflicts')
    t.equal(rows.length, 0, 'nothing had to be resolved')
  })
}

async function write(t: Test, { primaryUrl, primary }: Following, seed: number): Promise<void> {
  const ledger = new Ledger(join(temporaryFolder(t), 'ledger'))
  await runWorkload({ url: primaryUrl, ledger, seed, operations: 120 })
  await primary.query('truncate sources, segments, segment_terms, embeddings')
  await runWorkload({ url: primaryUrl, ledger, seed: seed + 100, operations: 120 })
  ledger.close()
}

/** As a relay might that forgets where it was: a batch may begin anywhere in what the cloud has. */
async function deliverAtRandom(
  t: Test,
  following: Following,
  transactions: readonly SentTransaction[],
  random: () => number,
): Promise<void> {
  const boundary = (count: number): string =>
    count === 0 ? following.before : formatLsn(transactions[count - 1]?.endLsn ?? 0n)
  let delivered = 0
  while (delivered < transactions.length) {
    const from = random() < 0.6 ? delivered : pick(random, delivered + 1)
    const to = Math.min(transactions.length, from + 1 + pick(random, 40))
    const batch = following.batch(transactions.slice(from, to), boundary(from), {
      ...(random() < 0.3 && to - from === 1 ? { framesPerPart: 1 + pick(random, 5) } : {}),
    })
    const applied = await applyFetching(following, batch)
    t.equal(applied.isNew, to > delivered, `${from} to ${to} of ${delivered}`)
    delivered = Math.max(delivered, to)
    t.equal(applied.progress.endLsn, boundary(delivered))
  }
}
