import t from 'tap'
import { publishedTables } from '../../../core/published-tables.ts'
import { inBatches, planRepair, type RepairLimits } from '../../../replication/repair/plan.ts'
import { decodeRequest, encodeRequest, repairPrefix } from '../../../replication/repair/request.ts'
import type { ExactVerification } from '../../../replication/verify/findings.ts'

const limits: RepairLimits = { mayDelete: false, maxDeletes: 100, maxShare: 0.2 }

function result(table: string, facts: Partial<ExactVerification> = {}): ExactVerification {
  return {
    table,
    verdict: 'drift',
    primaryRows: 10_000,
    cloudRows: 10_000,
    differences: [],
    moreDifferences: 0,
    reason: null,
    lsn: '0/1',
    ...facts,
  }
}

type Kind = 'missing' | 'changed' | 'extra'
const differences = (kind: Kind, count: number): ExactVerification['differences'] =>
  Array.from({ length: count }, (_, at) => ({ key: [`${kind}${at}`], kind, columns: [] }))

const said = (results: readonly ExactVerification[], given: Partial<RepairLimits> = {}) => {
  const plan = planRepair(results, publishedTables, { ...limits, ...given })
  return {
    steps: plan.steps.map((step) => `${step.action} ${step.differences.length} ${step.table}`),
    refusals: plan.refusals.map(({ table, code }) => `${table} ${code}`),
  }
}

t.test('parents are put before their children, children are removed before their parents', async (t) => {
  const both = [...differences('missing', 2), ...differences('extra', 1)]
  t.strictSame(
    said([result('segments', { differences: both }), result('sources', { differences: both })], {
      mayDelete: true,
    }),
    { steps: ['remove 1 segments', 'remove 1 sources', 'put 2 sources', 'put 2 segments'], refusals: [] },
  )
})

t.test('what is not done, and why', async (t) => {
  const cases: [string, ExactVerification[], Partial<RepairLimits>, ReturnType<typeof said>][] = [
    ['nothing is wrong', [result('sources', { verdict: 'match' })], {}, { steps: [], refusals: [] }],
    [
      'rows are removed only where it was said',
      [result('sources', { differences: [...differences('extra', 1), ...differences('changed', 1)] })],
      {},
      { steps: ['put 1 sources'], refusals: ['sources DELETES_NOT_ALLOWED'] },
    ],
    [
      'the limit on removals counts all tables',
      [
        result('sources', { differences: differences('extra', 60) }),
        result('segments', { differences: differences('extra', 41) }),
      ],
      { mayDelete: true },
      { steps: [], refusals: ['sources TOO_MANY_DELETES', 'segments TOO_MANY_DELETES'] },
    ],
    [
      'a fifth of the table is a case for a copy',
      [result('sources', { differences: differences('missing', 2001) })],
      {},
      { steps: [], refusals: ['sources TOO_MANY_ROWS'] },
    ],
    [
      'an emptied side is no reason to remove everything',
      [result('sources', { primaryRows: 0, cloudRows: 5000, differences: differences('extra', 5000) })],
      { mayDelete: true, maxDeletes: 10_000 },
      { steps: [], refusals: ['sources TOO_MANY_ROWS'] },
    ],
    [
      'a small table may be repaired whole',
      [result('sources', { primaryRows: 100, cloudRows: 0, differences: differences('missing', 100) })],
      {},
      { steps: ['put 100 sources'], refusals: [] },
    ],
    [
      'more differences than were named',
      [result('sources', { differences: differences('missing', 5), moreDifferences: 1 })],
      {},
      { steps: [], refusals: ['sources TOO_MANY_ROWS'] },
    ],
    [
      'what is not known is said, and what is proven is repaired',
      [result('sources', { differences: differences('missing', 5), reason: 'a row changed' })],
      {},
      { steps: ['put 5 sources'], refusals: ['sources UNDETERMINED'] },
    ],
  ]
  for (const [name, results, given, expected] of cases) t.strictSame(said(results, given), expected, name)
})

t.test('steps come in pieces', async (t) => {
  const step = { table: 'sources', action: 'put', differences: differences('missing', 5) } as const
  t.strictSame(
    [...inBatches(step, 2)].map((one) => one.differences.length),
    [2, 2, 1],
  )
})

t.test('only a request is a request', async (t) => {
  const request = { run: 'r', table: 'sources', action: 'put', keys: [['1'], ['2']] } as const
  t.strictSame(decodeRequest(repairPrefix, Buffer.from(encodeRequest(request))), request)
  t.equal(decodeRequest('other', Buffer.from(encodeRequest(request))), null)
  const others = [
    '',
    '{',
    '3',
    'null',
    '{}',
    JSON.stringify({ ...request, action: 'drop' }),
    JSON.stringify({ ...request, keys: [['1'], []] }),
    JSON.stringify({ ...request, keys: [[1]] }),
    JSON.stringify({ ...request, table: 3 }),
    JSON.stringify({ ...request, keys: [['a\0']] }),
    JSON.stringify({ ...request, keys: [['a'.repeat(3000)]] }),
    JSON.stringify({ ...request, keys: Array.from({ length: 1001 }, () => ['1']) }),
  ]
  for (const text of others) t.equal(decodeRequest(repairPrefix, Buffer.from(text)), null, text)
})
