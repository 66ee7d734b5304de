import { pino } from 'pino'
import t from 'tap'
import { HomeportError } from '../../../core/errors.ts'
import type { Batch } from '../../../replication/relay/batch.ts'
import type {
  Applied,
  ApplyOptions,
  CloudLink,
  FetchedRow,
  NeedRows,
  RowRequest,
} from '../../../replication/relay/cloud-link.ts'
import type { CloudSession } from '../../../replication/relay/cloud-side.ts'
import { deliver, type DeliverOptions } from '../../../replication/relay/deliver.ts'
import { progressAt } from './relay-fixture.ts'

type Answer = Applied | NeedRows | Error | ((options: ApplyOptions) => Promise<Applied>)

const batch: Batch = {
  slot: 'homeport_a',
  after: '0/1000',
  end: '0/1100',
  oldestCommitAt: null,
  parts: () => (async function* () {})(),
  release: async () => undefined,
}

const applied: Applied = {
  kind: 'applied',
  isNew: true,
  progress: progressAt('0/1100'),
  rows: 3,
  resolved: 0,
  quarantined: 0,
}
const request: RowRequest = { table: 'segments', keyColumns: ['id'], keys: [['7']] }
const needRows: NeedRows = { kind: 'needRows', requests: [request] }
const row: FetchedRow = { table: 'segments', key: ['7'], columns: ['id'], values: ['7'] }

/** A cloud that gives these answers one after the other, and is where `ends` says at each connection. */
function scripted(answers: Answer[], ends: string[] = ['0/1000']) {
  const seen: { lost: unknown[]; applied: ApplyOptions[]; worked: string[] } = {
    lost: [],
    applied: [],
    worked: [],
  }
  let session: CloudSession | null = null
  const link = {
    apply: async (_: Batch, options: ApplyOptions) => {
      seen.applied.push(options)
      const answer = answers.shift()
      if (answer === undefined) throw new Error('one more than was expected')
      if (answer instanceof Error) throw answer
      return typeof answer === 'function' ? answer(options) : answer
    },
  } as unknown as CloudLink
  const cloud: DeliverOptions['cloud'] = {
    reach: async (signal) => {
      signal.throwIfAborted()
      const lease = { slot: 'homeport_a', epoch: '1', holder: 'us' }
      session ??= { link, lease, progress: progressAt(ends.length > 1 ? ends.shift() : ends[0]) }
      return session
    },
    lose: (error) => {
      session = null
      seen.lost.push(error)
    },
    forget: () => {
      session = null
    },
    worked: (progress) => seen.worked.push(progress.endLsn),
  }
  return { cloud, seen }
}

const never = new AbortController().signal
function run(cloud: DeliverOptions['cloud'], more: Partial<DeliverOptions> = {}): Promise<Applied | null> {
  return deliver(batch, {
    cloud,
    fetchRows: async () => [],
    quarantine: false,
    signal: never,
    patience: never,
    log: pino({ level: 'silent' }),
    retryMs: 1,
    retryMaxMs: 2,
    ...more,
  })
}
const withCode = (code: string): Error => Object.assign(new Error('x'), { code })

t.test('a batch that goes through at once', async (t) => {
  const { cloud, seen } = scripted([applied])
  t.equal(await run(cloud), applied)
  t.same(seen.worked, ['0/1100'])
  t.match(seen.applied, [{ lease: { epoch: '1' }, quarantine: false }])
})

t.test('a busy cloud gets it again over the same connection, a broken one over a new one', async (t) => {
  const { cloud, seen } = scripted([withCode('40P01'), withCode('ECONNRESET'), withCode('57P01'), applied])
  t.equal(await run(cloud), applied)
  t.match(seen.lost, [{ code: 'ECONNRESET' }, { code: '57P01' }])
})

t.test('a COMMIT whose outcome was unknown: the progress says that it took place', async (t) => {
  const { cloud, seen } = scripted([withCode('ECONNRESET')], ['0/1000', '0/1100'])
  t.match(await run(cloud), { kind: 'applied', isNew: false, progress: { endLsn: '0/1100' } })
  t.equal(seen.applied.length, 1, 'it is not sent again')
})

t.test('a COMMIT whose outcome was unknown: the progress says that it did not', async (t) => {
  const { cloud, seen } = scripted([withCode('ECONNRESET'), applied], ['0/1000', '0/1000'])
  t.equal(await run(cloud), applied)
  t.equal(seen.applied.length, 2)
})

t.test('what no repetition cures ends it', async (t) => {
  const stops = [new HomeportError('POISON_ROW', 'x'), withCode('42501'), new TypeError('a mistake')]
  for (const error of stops) {
    const { cloud, seen } = scripted([error])
    await t.rejects(run(cloud), { code: /POISON_ROW|CLOUD_REFUSED|UNEXPECTED/ })
    t.same(seen.lost, [])
  }
})

t.test('a cloud that is elsewhere than it was is looked at once more, then it ends', async (t) => {
  const gap = new HomeportError('RELAY_GAP', 'x')
  const moved = scripted([gap, applied])
  t.equal(await run(moved.cloud), applied)
  t.same(moved.seen.lost, [])
  await t.rejects(run(scripted([gap, gap]).cloud), gap)
})

t.test('rows that the cloud lacks are fetched at home and handed over', async (t) => {
  const { cloud, seen } = scripted([needRows, withCode('40001'), needRows, applied])
  const asked: unknown[] = []
  const fetchRows = async (requests: readonly RowRequest[]): Promise<FetchedRow[]> => {
    asked.push(requests)
    return [row]
  }
  t.equal(await run(cloud, { fetchRows }), applied)
  t.same(asked, [[request], [request]], 'a new attempt asks again: the row may have changed')
  t.same(
    seen.applied.map((options) => options.fetched),
    [undefined, [row], undefined, [row]],
  )
})

t.test('a primary that does not answer meanwhile is waited for', async (t) => {
  const { cloud, seen } = scripted([needRows, applied])
  let calls = 0
  const fetchRows = async (): Promise<FetchedRow[]> => {
    calls += 1
    if (calls < 3) throw withCode('57P03')
    return [row]
  }
  t.equal(await run(cloud, { fetchRows }), applied)
  t.same(seen.lost, [], 'that says nothing about the cloud')
  const refused = run(scripted([needRows]).cloud, { fetchRows: () => Promise.reject(withCode('42501')) })
  await t.rejects(refused, { code: 'PRIMARY_REFUSED' })
})

t.test('a cloud that asks for the same rows for ever is stopped', async (t) => {
  const { cloud } = scripted([needRows, needRows, needRows])
  await t.rejects(run(cloud, { fetchRows: async () => [row] }), { code: 'ROWS_UNRESOLVED' })
})

t.test('the patience ends between two attempts, never within one', async (t) => {
  const patience = new AbortController()
  const slow = scripted([
    async () => {
      patience.abort()
      return applied
    },
  ])
  t.equal(await run(slow.cloud, { patience: patience.signal }), applied, 'what is under way goes through')
  const failing = scripted([withCode('ECONNRESET')])
  t.equal(await run(failing.cloud, { patience: patience.signal }), null, 'but nothing new is begun')
  const waiting = new AbortController()
  const broken = scripted([])
  const outcome = run(
    {
      ...broken.cloud,
      reach: (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    },
    { patience: waiting.signal },
  )
  waiting.abort()
  t.equal(await outcome, null, 'a cloud that is away is not waited for')
})

t.test('the end of the process gives up in the middle', async (t) => {
  const end = new AbortController()
  const reason = new HomeportError('INTERRUPTED', 'stopped')
  const { cloud } = scripted([
    (options) =>
      new Promise((_, reject) => options.signal?.addEventListener('abort', () => reject(withCode('57014')))),
  ])
  const outcome = run(cloud, { signal: end.signal })
  await new Promise((resolve) => setImmediate(resolve))
  end.abort(reason)
  await t.rejects(outcome, reason)
})
