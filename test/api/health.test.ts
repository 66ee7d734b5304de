import t from 'tap'
import { reportHealth, type HealthInput } from '../../api/health.ts'
import { overallVerdict, secondsSince } from '../../api/pulse.ts'

const now = new Date('2026-05-01T12:00:00Z')
const before = (seconds: number) => new Date(now.getTime() - seconds * 1000)

const fine: HealthInput = {
  now,
  facts: {
    reachable: true,
    seenAt: before(1),
    beatAt: before(3),
    verifications: [
      { table: 'segments', verdict: 'match', rows: '10', at: before(120), fullAt: before(3600) },
      { table: 'sources', verdict: 'match', rows: '2', at: before(60), fullAt: before(60) },
    ],
    totalSegments: 10,
    lastUpdated: before(500),
  },
  source: 'postgres',
  memory: { ready: true, segments: 10, asOf: before(9), engine: 'scan', modelId: 1 },
  role: { state: 'read-only', role: 'reader', remarks: [] },
  model: null,
  modelProblem: null,
  apiOnly: true,
  ingestionEnabled: false,
}

void t.test('all is well', async (t) => {
  t.same(reportHealth(fine), {
    status: 'ok',
    mode: 'api_only',
    gpu_available: false,
    ingestion_enabled: false,
    database_mode: 'read-only',
    total_segments: 10,
    last_updated: '2026-05-01T11:51:40.000Z',
    problems: [],
    source: 'postgres',
    as_of: '2026-05-01T11:59:57.000Z',
    lag_seconds: 3,
    last_verified: {
      verdict: 'match',
      at: '2026-05-01T11:58:00.000Z',
      full_at: '2026-05-01T11:00:00.000Z',
      tables: [
        {
          table: 'segments',
          verdict: 'match',
          at: '2026-05-01T11:58:00.000Z',
          full_at: '2026-05-01T11:00:00.000Z',
        },
        {
          table: 'sources',
          verdict: 'match',
          at: '2026-05-01T11:59:00.000Z',
          full_at: '2026-05-01T11:59:00.000Z',
        },
      ],
    },
    fallback: { ready: true, segments: 10, as_of: '2026-05-01T11:59:51.000Z', engine: 'scan' },
    role: { name: 'reader', read_only: true, override: false, remarks: [] },
    model: null,
  })
})

void t.test('what is amiss', async (t) => {
  const writable = { state: 'writable', role: 'owner', reasons: ['it may insert into x'] } as const
  const cases: [name: string, change: Partial<HealthInput>, expected: Record<string, unknown>][] = [
    [
      'the database is down, memory answers',
      { source: 'memory', facts: { ...fine.facts, reachable: false } },
      { status: 'warn', database_mode: 'unreachable', lag_seconds: 9, total_segments: 10 },
    ],
    [
      'nobody answers',
      { source: null, memory: { ...fine.memory, ready: false, segments: 0 } },
      { status: 'error' },
    ],
    [
      'a role that can write is refused',
      { source: 'memory', role: { ...writable, overridden: false } },
      {
        status: 'error',
        database_mode: 'writable',
        role: { name: 'owner', read_only: false, override: false, remarks: [] },
      },
    ],
    [
      'a role that can write is allowed',
      { role: { ...writable, overridden: true } },
      {
        status: 'warn',
        database_mode: 'writable',
        role: { name: 'owner', read_only: false, override: true, remarks: [] },
      },
    ],
    [
      'drift',
      {
        facts: {
          ...fine.facts,
          verifications: [{ table: 'segments', verdict: 'drift', rows: '1', at: now, fullAt: null }],
        },
      },
      { status: 'warn', last_verified: { verdict: 'drift' } },
    ],
    [
      'far behind home',
      { facts: { ...fine.facts, beatAt: before(4000) } },
      { status: 'warn', lag_seconds: 4000 },
    ],
    ['the index in memory is missing', { memory: { ...fine.memory, ready: false } }, { status: 'warn' }],
    [
      'nothing has arrived yet',
      { facts: { ...fine.facts, totalSegments: 0 } },
      { status: 'warn', total_segments: 0, problems: [/holds nothing to search/] },
    ],
    [
      'a disk that takes no snapshot',
      { memory: { ...fine.memory, unsaved: 'ENOSPC' } },
      { status: 'warn', problems: [/cannot be saved \(ENOSPC\)/] },
    ],
    ['a model that is not here', { modelProblem: 'no' }, { status: 'warn' }],
    [
      'never reached',
      {
        source: 'memory',
        role: { state: 'unproven' },
        facts: {
          reachable: null,
          seenAt: null,
          beatAt: null,
          verifications: [],
          totalSegments: null,
          lastUpdated: null,
        },
      },
      {
        database_mode: 'unproven',
        total_segments: 10,
        last_updated: null,
        last_verified: null,
        role: { name: null, read_only: null },
      },
    ],
  ]
  for (const [name, change, expected] of cases) {
    const report = reportHealth({ ...fine, ...change })
    t.match(report, expected, name)
    t.equal(report.status === 'ok', report.problems.length === 0, `${name}: problems say why`)
  }
})

void t.test('the verdict over all tables is the worst, as old as the oldest', async (t) => {
  t.equal(overallVerdict([]), null)
  t.same(
    overallVerdict([
      { verdict: 'match', at: before(5), fullAt: before(500) },
      { verdict: 'undetermined', at: before(50), fullAt: before(70) },
    ]),
    { verdict: 'undetermined', at: before(50), fullAt: before(500) },
  )
  const neverFull = { verdict: 'match', at: before(5), fullAt: null } as const
  t.equal(overallVerdict([{ ...neverFull, fullAt: before(9) }, neverFull])?.fullAt, null, 'not all were')
})

void t.test('lag is never negative', async (t) => {
  t.equal(secondsSince(before(-3600), now), 0)
  t.equal(secondsSince(before(2.26), now), 2.3)
  t.equal(secondsSince(null, now), null)
})
