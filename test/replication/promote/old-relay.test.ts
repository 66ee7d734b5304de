import t from 'tap'
import { loadSql } from '../../../core/sql.ts'
import { stagePart } from '../../../replication/gateway/staged-parts.ts'
import { acquireLease, readProgress, renewLease, reportState } from '../../../replication/relay/lease.ts'
import { judgePair } from '../../../replication/relay/start-checks.ts'
import { readServerFacts } from '../../../replication/server-facts.ts'
import { createFollowing, insertSources } from '../relay/apply/fixture.ts'

// Whatever an old relay does next, and whichever program does it: the mark alone keeps it out, without any right taken.
t.test('a cloud that is marked takes nothing from a relay that holds its lease', async (t) => {
  const following = await createFollowing(t)
  const { cloud, lease, slot, systemIdentifier } = following
  await insertSources(following.primary, 1, 3)
  await following.follow()
  t.match(await readServerFacts(cloud), { follows: true })
  const mark = (): Promise<{ rowCount: number | null }> =>
    cloud.query(loadSql('promote/mark-promoted'), [slot, 'x', 9, '0/0', 'why', 'what'])
  t.equal((await mark()).rowCount, 1)
  const marked = await readProgress(cloud, slot)
  t.match(marked, { state: 'promoted', systemIdentifier, timeline: 1, epoch: `${BigInt(lease.epoch) + 1n}` })
  t.equal((await mark()).rowCount, 0, 'a second time changes nothing')
  t.same(await readProgress(cloud, slot), marked)
  t.match(await readServerFacts(cloud), { follows: false })

  const promoted = { code: 'PROMOTED', exitCode: 1, hint: /ops setup-replication from there/ }
  await insertSources(following.primary, 4, 6)
  await t.rejects(following.follow(), promoted, 'its next batch')
  await t.rejects(renewLease(cloud, lease), promoted)
  const report = { state: 'following', stopCode: null, stopMessage: null, stopHint: null } as const
  await t.rejects(reportState(cloud, lease, report), promoted)
  const request = {
    slot,
    holder: lease.holder,
    holderName: 'x',
    systemIdentifier,
    timeline: 1,
    leaseSeconds: 60,
  }
  await t.rejects(acquireLease(cloud, request), promoted, 'also when it starts anew')
  const header = { end: '0/1', part: 0 } as Parameters<typeof stagePart>[2]
  await t.rejects(stagePart(cloud, lease, header, Buffer.alloc(40)), { code: 'RELAY_FENCED' })
  await cloud.query(loadSql('relay/seed-begin'), [slot, systemIdentifier, 1, '0/0', '0/0'])
  t.same(await readProgress(cloud, slot), marked, 'nor does a copy begin')
  t.equal((await cloud.query('select from sources')).rowCount, 3)
  const description = { systemIdentifier: 'other', progress: marked } as Parameters<typeof judgePair>[1]
  const primary = { systemIdentifier: 'another' } as Parameters<typeof judgePair>[0]
  t.match(judgePair(primary, description, null), promoted, 'and that is said before anything else')
})
