import { pino } from 'pino'
import t from 'tap'
import { HomeportError } from '../../../core/errors.ts'
import type { CloudLink, LeaseRequest, Progress, RelayReport } from '../../../replication/relay/cloud-link.ts'
import { CloudSide, type CloudSideOptions } from '../../../replication/relay/cloud-side.ts'
import type { Transport } from '../../../replication/relay/transport-choice.ts'
import { cloudDescription, progressAt } from './relay-fixture.ts'

const never = new AbortController().signal
const withCode = (code: string): Error => Object.assign(new Error(`failed with ${code}`), { code })

/** A cloud whose two ways are up or down as `trouble` says. */
function fakeCloud(ways: readonly Transport[], more: Partial<CloudSideOptions> = {}) {
  const trouble: Partial<Record<Transport | 'acquire' | 'renew', Error>> = {}
  const said: string[] = []
  const closed: Transport[] = []
  const reports: RelayReport[] = []
  const requests: LeaseRequest[] = []
  const state = { nowMs: 0, epoch: 0, progress: progressAt() as Progress | null }
  const link = (name: Transport): CloudLink => {
    const answer = async <T>(value: () => T, ...kinds: (keyof typeof trouble)[]): Promise<T> => {
      for (const kind of [name, ...kinds]) if (trouble[kind] !== undefined) throw trouble[kind]
      return value()
    }
    return {
      name,
      describe: () => answer(() => cloudDescription({ progress: state.progress })),
      acquire: (request: LeaseRequest) =>
        answer(() => {
          requests.push(request)
          const lease = { slot: request.slot, holder: request.holder, epoch: String((state.epoch += 1)) }
          return { lease, progress: state.progress ?? progressAt() }
        }, 'acquire'),
      readProgress: () => answer(() => state.progress),
      renew: () => answer(() => undefined, 'renew'),
      report: async (_: unknown, report: RelayReport) => void reports.push(report),
      close: async () => void closed.push(name),
    } as unknown as CloudLink
  }
  const side = new CloudSide({
    open: Object.fromEntries(ways.map((way) => [way, () => link(way)])),
    policy: { available: ways, fallBackAfterMs: 10_000, probeMs: 30_000, probeMaxMs: 60_000 },
    slot: 'homeport_a',
    leaseRequest: () => ({
      slot: 'homeport_a',
      holder: 'us',
      holderName: 'here',
      systemIdentifier: '7001',
      timeline: 1,
      leaseSeconds: 30,
    }),
    check: async () => undefined,
    checkProgress: () => undefined,
    say: (text) => said.push(text),
    onTrouble: () => undefined,
    onReconnect: () => undefined,
    log: pino({ level: 'silent' }),
    now: () => state.nowMs,
    retryMs: 1,
    retryMaxMs: 2,
    ...more,
  })
  return { side, trouble, said, closed, reports, requests, state }
}

const settled = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 5))

t.test('one session is kept until it is lost; a new one has a new epoch', async (t) => {
  const { side, said, closed } = fakeCloud(['direct'])
  const [first, again] = await Promise.all([side.reach(never), side.reach(never)])
  t.equal(first, again, 'two who ask at once get the same')
  t.equal(await side.reach(never), first)
  side.lose(withCode('ECONNRESET'))
  const second = await side.reach(never)
  t.equal(first.lease.epoch, '1')
  t.equal(second.lease.epoch, '2')
  t.not(second.link, first.link, 'by new connections: of the old ones more may be dead')
  t.same(closed, ['direct'])
  t.match(said, [/cannot be reached \(direct\): failed with ECONNRESET/, /answers again \(direct\)/])
})

t.test('the gateway takes over, says so, and straight is taken again by itself', async (t) => {
  const { side, trouble, said, state } = fakeCloud(['direct', 'gateway'])
  await side.reach(never)
  trouble.direct = withCode('ECONNREFUSED')
  side.lose(trouble.direct)
  t.equal(side.transport, 'direct', 'not at the first failure')
  state.nowMs = 10_000
  t.equal((await side.reach(never)).link.name, 'gateway')
  t.match(said.join('\n'), /batches go through the gateway now: direct has failed for 10 s/)
  state.nowMs = 40_000
  t.equal((await side.reach(never)).link.name, 'gateway', 'a look at direct holds nobody up')
  await settled()
  t.equal((await side.reach(never)).link.name, 'gateway', 'it still fails')
  delete trouble.direct
  state.nowMs = 100_000
  await side.renew()
  await settled()
  const session = await side.reach(never)
  t.match(session, { link: { name: 'direct' }, lease: { epoch: '3' } })
  t.match(said.join('\n'), /direct works again/)
})

t.test('when both fail, whichever comes back first is taken', async (t) => {
  const { side, trouble, state } = fakeCloud(['direct', 'gateway'])
  await side.reach(never)
  trouble.direct = withCode('ECONNREFUSED')
  trouble.gateway = new HomeportError('GATEWAY_UNREACHABLE', 'x')
  side.lose(trouble.direct)
  state.nowMs = 10_000
  const reached = side.reach(never)
  await settled()
  t.equal(side.transport, 'gateway')
  state.nowMs = 200_000
  delete trouble.direct
  t.equal((await reached).link.name, 'direct')
})

t.test('a wrong password ends it at the start, not later, and not while another way is left', async (t) => {
  const only = fakeCloud(['direct'])
  only.trouble.direct = withCode('28P01')
  await t.rejects(only.side.reach(never), { code: 'CLOUD_REFUSED' })
  const later = fakeCloud(['direct'])
  await later.side.reach(never)
  later.trouble.direct = withCode('28P01')
  later.side.lose(later.trouble.direct)
  const reached = later.side.reach(never)
  await settled()
  delete later.trouble.direct
  t.match(await reached, { lease: { epoch: '2' } })
  const both = fakeCloud(['direct', 'gateway'])
  both.trouble.direct = withCode('28P01')
  const other = both.side.reach(never)
  await settled()
  both.state.nowMs = 10_000
  t.equal((await other).link.name, 'gateway')
  const neither = fakeCloud(['direct', 'gateway'])
  neither.trouble.direct = withCode('28P01')
  neither.trouble.gateway = new HomeportError('GATEWAY_REFUSED', 'x')
  const none = neither.side.reach(never)
  await settled()
  neither.state.nowMs = 10_000
  await t.rejects(none, { code: /GATEWAY_REFUSED|CLOUD_REFUSED/ })
})

t.test('every connection is checked, before and after the lease', async (t) => {
  const stop = new HomeportError('CLOUD_REWOUND', 'x')
  const { side, requests } = fakeCloud(['direct'], {
    check: async () => {
      throw stop
    },
  })
  await t.rejects(side.reach(never), stop)
  t.same(requests, [], 'nothing was taken')
  const after = fakeCloud(['direct'], {
    checkProgress: () => {
      throw stop
    },
  })
  await t.rejects(after.side.reach(never), stop)
  t.equal(after.side.session, null)
})

t.test('a lost lease ends it; trouble on the way does not', async (t) => {
  const { side, trouble } = fakeCloud(['direct'])
  await side.renew()
  await side.reach(never)
  trouble.renew = withCode('55P03')
  await side.renew()
  t.ok(side.session, 'a batch under way holds the row')
  trouble.renew = withCode('ECONNRESET')
  await side.renew()
  t.equal(side.session, null)
  await side.reach(never)
  trouble.renew = new HomeportError('RELAY_FENCED', 'x')
  await t.rejects(side.renew(), { code: 'RELAY_FENCED' })
})

t.test('why it ends is written down in the cloud, never over another relay', async (t) => {
  const { side, reports } = fakeCloud(['direct'])
  await side.reach(never)
  const stop = new HomeportError('POISON_ROW', 'a row', { hint: 'do this' })
  t.equal(await side.reportStop(stop), true)
  t.same(reports, [{ state: 'stopped', stopCode: 'POISON_ROW', stopMessage: 'a row', stopHint: 'do this' }])
  for (const code of ['RELAY_HELD', 'RELAY_FENCED']) {
    t.equal(await side.reportStop(new HomeportError(code, 'x')), false)
  }
  t.equal(reports.length, 1)
})

t.test(
  'a check that fails before the lease is reported too, as the primary that the cloud knows',
  async (t) => {
    const stop = new HomeportError('PRIMARY_CHANGED', 'x')
    const { side, reports, requests, state, trouble } = fakeCloud(['direct'], {
      check: async () => {
        throw stop
      },
    })
    state.progress = progressAt('0/1', { systemIdentifier: '42', timeline: 7, state: 'seeding' })
    await t.rejects(side.reach(never), stop)
    t.equal(await side.reportStop(stop), true)
    t.match(requests, [{ systemIdentifier: '42', timeline: 7 }])
    t.match(reports, [{ state: 'seeding', stopCode: 'PRIMARY_CHANGED' }])
    trouble.acquire = new HomeportError('RELAY_HELD', 'x')
    await t.rejects(side.reportStop(stop), { code: 'RELAY_HELD' }, 'another relay works: its record stays')
  },
)

t.test('fenced off by another relay, or by a cloud that forgot', async (t) => {
  const { side, state, reports } = fakeCloud(['direct'])
  await side.reach(never)
  const fenced = new HomeportError('RELAY_FENCED', 'x')
  state.progress = progressAt('0/1000', { epoch: '2' })
  t.equal(await side.explainFence(fenced), fenced)
  state.progress = progressAt('0/900', { epoch: '0' })
  const rewound = await side.explainFence(fenced)
  t.match(rewound, { code: 'CLOUD_REWOUND', message: /at 0\/900, but had everything up to 0\/1000/ })
  t.equal(await side.reportStop(rewound), true)
  t.match(reports, [{ state: 'stopped', stopCode: 'CLOUD_REWOUND' }])
})
