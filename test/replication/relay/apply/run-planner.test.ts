import t from 'tap'
import { publishedTables } from '../../../../core/published-tables.ts'
import type { RelationMessage, Tuple } from '../../../../replication/pgoutput/messages.ts'
import type { Change, RowChange } from '../../../../replication/relay/apply/change-reader.ts'
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

function tuple(kind: number): Tuple {
  return { kinds: Uint8Array.of(binary, kind), values: [Buffer.alloc(4), Buffer.alloc(4)] }
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

/** What a plan does, as words. */
function plan(changes: readonly Change[], isLenient?: (change: RowChange) => boolean): string {
  const done: string[] = []
  let rows = 0
  const sink: RunSink = {
    row: ({ kind, table }) => done.push(`${kind} ${table.name}`),
    copyBegin: () => (rows = 0),
    copyRow: () => (rows += 1),
    copyEnd: (count) => done.push(count === rows ? `copy ${count}` : 'miscounted'),
    truncate: ({ tables }) => done.push(`truncate ${tables.map(({ name }) => name).join()}`),
  }
  const planner = new RunPlanner(sink, isLenient, { minCopyRows: 3, maxCopyRows: 5 })
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
    plan([insert, change('insert', collection), insert]),
    'insert lexicon, insert collection, insert lexicon',
  )
  t.equal(
    plan([insert, change('delete', lexicon), change('delete', lexicon)]),
    'insert lexicon, delete lexicon, delete lexicon',
  )
  const truncate: Change = {
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

t.test('runs are counted when they are complete', async (t) => {
  const nothing = (): void => undefined
  const sink: RunSink = {
    row: nothing,
    copyBegin: nothing,
    copyRow: nothing,
    copyEnd: nothing,
    truncate: nothing,
  }
  const planner = new RunPlanner(sink, undefined, { minCopyRows: 3, maxCopyRows: 5 })
  const counts = [...times(4, insert), change('update', lexicon), change('update', lexicon)].map((one) => {
    planner.add(one)
    return planner.runs
  })
  planner.end()
  t.same([...counts, planner.runs], [0, 0, 0, 0, 1, 1, 2])
})
