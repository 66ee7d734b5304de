import t from 'tap'
import { publishedTables } from '../../../../core/published-tables.ts'
import type { RelationMessage, Tuple } from '../../../../replication/pgoutput/messages.ts'
import type { RowChange, TruncateChange } from '../../../../replication/relay/apply/change-reader.ts'
import { RowRun } from '../../../../replication/relay/apply/row-run.ts'
import { RunPlanner, type RunSink } from '../../../../replication/relay/apply/run-planner.ts'
import { TableShape } from '../../../../replication/relay/apply/table-shape.ts'

const binary = 0x62
const text = 0x74
const unchanged = 0x75

function shape(name: string): TableShape {
  const table = publishedTables.find((one) => one.name === name)
  if (table === undefined) throw new Error(`${name} is not published`)
  const relation: RelationMessage = {
    type: 'relation',
    xid: null,
    oid: 1,
    schema: 'public',
    name,
    replicaIdentity: 'd',
    columns: table.columns.map((column) => ({
      name: column,
      isKey: table.key.includes(column),
      typeOid: 23,
      typeModifier: -1,
    })),
  }
  return new TableShape(table, relation, new Map())
}

const lexicon = shape('lexicon')
const collection = shape('collection')

const nullValue = 0x6e

function tuple(kind: number, key = 0, size = 4): Tuple {
  return { kinds: Uint8Array.of(binary, kind), values: [Buffer.of(0, 0, 0, key), Buffer.alloc(size)] }
}

function change(kind: RowChange['kind'], table: TableShape, of = binary): RowChange {
  const row = tuple(of)
  return {
    kind,
    table,
    old: kind === 'delete' ? row : null,
    row: kind === 'delete' ? null : row,
    commitLsn: 1n,
  }
}

/** Changes of as many rows. */
function each(kind: RowChange['kind'], count: number, { from = 1, of = binary, size = 4 } = {}): RowChange[] {
  return Array.from({ length: count }, (_, n) => {
    const row = tuple(of, from + n, size)
    return { ...change(kind, lexicon), ...(kind === 'delete' ? { old: row } : { row }) }
  })
}

/** What a plan does, as words. */
function plan(
  changes: readonly (RowChange | TruncateChange)[],
  isLenient?: (change: RowChange) => boolean,
): string {
  const done: string[] = []
  let rows = 0
  const sink: RunSink = {
    row: ({ kind, table }) => done.push(`${kind} ${table.name}`),
    run: (changes) => done.push(`${changes[0]?.kind} run ${changes.length}`),
    copyBegin: () => (rows = 0),
    copyRow: () => (rows += 1),
    copyEnd: (count) => done.push(count === rows ? `copy ${count}` : 'miscounted'),
    truncate: ({ tables }) => done.push(`truncate ${tables.map(({ name }) => name).join()}`),
  }
  const planner = new RunPlanner(sink, isLenient, { minRows: 3, maxRows: 5, maxBytes: 1000 })
  for (const one of changes) planner.add(one)
  planner.end()
  return done.join(', ')
}

const times = (count: number, one: RowChange): RowChange[] => Array.from({ length: count }, () => one)
const insert = change('insert', lexicon)

t.test('runs keep their order', async (t) => {
  t.equal(plan([]), '')
  t.equal(plan(times(2, insert)), 'insert lexicon, insert lexicon', 'too few for COPY')
  t.equal(plan(times(3, insert)), 'copy 3')
  t.equal(plan(times(5, insert)), 'copy 5')
  t.equal(plan(times(9, insert)), 'copy 5, copy 4')
  t.equal(plan(times(6, insert)), 'copy 5, insert lexicon')
  t.equal(
    plan([...times(3, insert), change('update', lexicon), ...times(3, insert)]),
    'copy 3, update lexicon, copy 3',
  )
  t.equal(
    plan([insert, change('delete', lexicon), change('delete', lexicon)]),
    'insert lexicon, delete lexicon, delete lexicon',
  )
  const truncate: TruncateChange = {
    kind: 'truncate',
    tables: [lexicon, collection],
    restartIdentity: false,
    commitLsn: 1n,
  }
  t.equal(
    plan([insert, truncate, ...times(4, insert)]),
    'insert lexicon, truncate lexicon,collection, copy 4',
  )
})

t.test(
  'inserts of many sources become one COPY a table, in the order in which tables refer to each other',
  async (t) => {
    const source = [change('insert', shape('sources')), ...times(2, change('insert', shape('segments')))]
    const vectors = times(2, change('insert', shape('embeddings')))
    const named = (changes: readonly (RowChange | TruncateChange)[]): string[] => {
      const tables: string[] = []
      const nothing = (): void => undefined
      const planner = new RunPlanner(
        {
          row: ({ kind, table }) => tables.push(`${kind} ${table.name}`),
          run: nothing,
          copyBegin: (table) => tables.push(`copy ${table.name}`),
          copyRow: nothing,
          copyEnd: nothing,
          truncate: nothing,
        },
        undefined,
        { minRows: 2, maxRows: 5, maxBytes: 1000 },
      )
      for (const one of changes) planner.add(one)
      planner.end()
      return tables
    }
    t.same(named([...source, ...vectors, ...source, ...vectors]), [
      'copy sources',
      'copy segments',
      'copy embeddings',
    ])
    t.same(
      named([...vectors, ...source]),
      ['insert sources', 'copy segments', 'copy embeddings'],
      'though a vector comes first',
    )
    const update = change('update', shape('sources'), text)
    t.same(
      named([...source, update, ...source]),
      ['insert sources', 'copy segments', 'update sources', 'insert sources', 'copy segments'],
      'and nothing else changes its place',
    )
    const [other, again] = [change('insert', shape('segments')), change('insert', shape('segments'))]
    t.equal(plan([...times(3, other), ...times(3, again)]), 'copy 3, copy 3', 'a table in two shapes')
    const long = change('insert', lexicon)
    t.equal(
      plan(times(8, { ...long, row: tuple(binary, 0, 400) })),
      'copy 3, copy 3, insert lexicon, insert lexicon',
      'what waits has a bound in bytes',
    )
  },
)

t.test('only whole rows of bytes go through COPY', async (t) => {
  const [asText, partly] = [change('insert', lexicon, text), change('insert', lexicon, unchanged)]
  t.equal(plan(times(3, asText)), 'insert lexicon, insert lexicon, insert lexicon')
  t.equal(plan([...times(3, insert), asText, ...times(3, insert)]), 'copy 3, insert lexicon, copy 3')
  t.equal(plan([insert, partly, insert]), 'insert lexicon, insert lexicon, insert lexicon')
  t.equal(
    plan(times(3, insert), () => true),
    'insert lexicon, insert lexicon, insert lexicon',
    'nor rows that may be there',
  )
})

t.test('updates and deletes of different rows go together', async (t) => {
  for (const kind of ['update', 'delete'] as const) {
    t.equal(plan(each(kind, 2)), `${kind} lexicon, ${kind} lexicon`, 'too few')
    t.equal(plan(each(kind, 3)), `${kind} run 3`)
    t.equal(plan(each(kind, 13)), `${kind} run 5, ${kind} run 5, ${kind} run 3`)
    t.equal(plan([...each(kind, 4), ...each(kind, 4)]), `${kind} run 4, ${kind} run 4`, 'a row comes again')
    t.equal(
      plan([...each(kind, 3), ...each(kind, 1), ...each(kind, 2, { from: 4 })]),
      `${kind} run 3, ${kind} run 3`,
    )
    t.equal(
      plan([...each(kind, 3), insert, ...each(kind, 3)]),
      `${kind} run 3, insert lexicon, ${kind} run 3`,
    )
    t.equal(
      plan(each(kind, 3), () => true),
      `${kind} lexicon, ${kind} lexicon, ${kind} lexicon`,
      'not when a row may be missing',
    )
  }
  t.equal(plan([...each('update', 3), ...each('delete', 3)]), 'update run 3, delete run 3')
  const other = each('update', 3).map((one) => ({ ...one, table: collection }))
  t.equal(plan([...each('update', 3), ...other]), 'update run 3, update run 3', 'of one table')
})

t.test('an update that is unlike the others ends their run', async (t) => {
  const mixed = (middle: RowChange): string =>
    plan([...each('update', 3), middle, ...each('update', 3, { from: 9 })])
  const [asText, partly, empty] = [text, unchanged, nullValue].map(
    (of) => each('update', 1, { from: 5, of })[0]!,
  )
  t.equal(mixed(asText!), 'update run 3, update lexicon, update run 3')
  t.equal(mixed(partly!), 'update run 3, update lexicon, update run 3', 'it sends other columns')
  t.equal(plan(each('update', 4, { of: unchanged })), 'update run 4')
  t.equal(mixed(empty!), 'update run 5, update lexicon, update lexicon', 'null is a value')
  const [plain] = each('update', 1, { from: 5 })
  const before = (old: Tuple): string => mixed({ ...plain!, old })
  t.equal(before(tuple(nullValue, 6)), 'update run 3, update lexicon, update run 3', 'another key')
  t.equal(before(tuple(nullValue, 5)), 'update run 5, update lexicon, update lexicon', 'the same key')
  const textKey: Tuple = { ...tuple(nullValue, 5), kinds: Uint8Array.of(text, nullValue) }
  t.equal(before(textKey), 'update run 3, update lexicon, update run 3', 'bytes of another format')
})

t.test('runs have a bound in memory, and in parameters', async (t) => {
  t.equal(
    plan(each('update', 4, { size: 300 })),
    'update run 3, update lexicon',
    'three of 312 bytes are below 1000',
  )
  t.equal(plan(each('update', 3, { size: 400 })), 'update lexicon, update lexicon, update lexicon')
  t.equal(
    plan(each('update', 2, { size: 5000 })),
    'update lexicon, update lexicon',
    'a row that is too large',
  )

  const columns = Array.from({ length: 1000 }, (_, n) => ({
    name: n === 0 ? 'term' : `c${n}`,
    isKey: n === 0,
    typeOid: 23,
    typeModifier: -1,
  }))
  const wide = new TableShape(
    { name: 'lexicon', key: ['term'], columns: ['term'] },
    { ...lexicon.relation, columns },
    new Map(),
  )
  const run = new RowRun({ maxRows: 500, maxBytes: 1 << 20 })
  for (const one of each('update', 100)) {
    const row: Tuple = {
      kinds: Uint8Array.from(columns, (_, n) => (n === 0 ? binary : nullValue)),
      values: columns.map((_, n) => (n === 0 ? (one.row?.values[0] ?? null) : null)),
    }
    run.add({ ...one, table: wide, row })
  }
  t.equal(run.changes.length, 65, 'a message counts 65535 of them')
})

t.test('runs are counted when they are complete', async (t) => {
  const nothing = (): void => undefined
  const sink: RunSink = {
    row: nothing,
    run: nothing,
    copyBegin: nothing,
    copyRow: nothing,
    copyEnd: nothing,
    truncate: nothing,
  }
  const planner = new RunPlanner(sink, undefined, { minRows: 3, maxRows: 5, maxBytes: 1000 })
  const counts = [...times(4, insert), ...each('update', 2)].map((one) => {
    planner.add(one)
    return planner.runs
  })
  planner.end()
  t.same([...counts, planner.runs], [0, 0, 0, 0, 1, 1, 3])
})
