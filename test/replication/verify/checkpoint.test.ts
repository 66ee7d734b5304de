import t from 'tap'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { readServerFacts } from '../../../replication/server-facts.ts'
import { Checkpoint } from '../../../replication/verify/checkpoint.ts'
import { formatRanges, parseCheckpoint } from '../../../replication/verify/checkpoint-lines.ts'
import { createReplication, insertTalk, plant, type Replication } from '../support.ts'
import { said } from './plants.ts'
import { ResumableRuns, reusedRows, verdictsOf } from './resumable.ts'

const many = 20_000
const nothing = { proven: [], undetermined: [] }
let pair: Replication
let runs: ResumableRuns

t.before(async () => {
  pair = await createReplication(t)
  for (let id = 1; id <= 5; id += 1) await insertTalk(pair.primary, { id, text: 'secret words' })
  await pair.primary.query(
    `insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, ${many - 1}) i`,
  )
  await pair.primary.query('insert into lexicon select i, 1 from generate_series(1, 3000) i')
  await waitForCloud(pair)
})

t.beforeEach((t) => {
  runs = new ResumableRuns(t, pair)
})

/** Chunks of 2,000 and 8,000 rows, in eight pieces each: the third is what is left. */
const terms = { tables: ['model_terms'] }

function files(): string[] {
  return existsSync(runs.folder) ? readdirSync(runs.folder).sort() : []
}

t.test('a run that was stopped is gone on with, and one that ends leaves nothing', async (t) => {
  t.ok(await runs.stop(7))
  t.ok(files().some((name) => /^[0-9a-f]{12}-model_terms\.both\.jsonl$/.test(name)))
  t.ok(files().every((name) => (statSync(join(runs.folder, name)).mode & 0o777) === 0o600))
  t.equal(statSync(runs.folder).mode & 0o777, 0o700)
  for (const name of files()) t.notMatch(readFileSync(join(runs.folder, name), 'utf8'), /secret/)

  t.ok(await runs.stop(9), 'and stopped once more')
  const results = await runs.run()
  t.strictSame(said(results), nothing)
  t.ok(reusedRows(results, 'model_terms') >= 2000)
  t.match(results.find((one) => one.table === 'model_terms')?.earlierSince, /^20\d\d-.*Z$/)
  const anew = await runs.run()
  t.strictSame(verdictsOf(results), verdictsOf(anew), 'the same as when all is compared')
  t.equal(reusedRows(anew), 0)
  t.strictSame(files(), [])
})

// What is planted lies in the first chunk, which was compared before.
const plants = [
  ['an edit', `update model_terms set basis = '[1,2,4]' where term = 7`, 'changed 1 7 basis'],
  ['a delete', `delete from model_terms where term = 8`, 'missing 1 8'],
  ['an insert', `insert into model_terms values (0, 1, '[1,2,3]')`, 'extra 0 1'],
  [
    'a delete and an insert',
    `delete from model_terms where term = 9; insert into model_terms values (0, 2, '[1,2,3]')`,
    'extra 0 2, missing 1 9',
  ],
  [
    'an edit in a subtransaction',
    `savepoint s; update model_terms set basis = '[1,2,4]' where term = 11; release s`,
    'changed 1 11 basis',
  ],
] as const

for (const [name, sql, difference] of plants) {
  t.test(`${name} in the cloud, in what was compared before, is found`, async (t) => {
    t.ok(await runs.stop(4, terms))
    await plant(pair.cloud, sql)
    const results = await runs.run(terms)
    t.equal(
      said(results)
        .proven.map((one) => one.replace('model_terms ', ''))
        .join(', '),
      difference,
    )
    t.ok(reusedRows(results) > 8000, 'but for its piece, nothing is compared again')
    await heal()
  })
}

/** The cloud's terms are the primary's again. */
async function heal(): Promise<void> {
  await plant(pair.cloud, `delete from model_terms where model_id = 0 or basis <> '[1,2,3]'`)
  await plant(
    pair.cloud,
    `insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, ${many - 1}) i on conflict do nothing`,
  )
}

t.test('what differed before the run was stopped is found again', async (t) => {
  await plant(
    pair.cloud,
    `update model_terms set basis = '[1,2,8]' where term = 6; delete from model_terms where term = 900`,
  )
  t.ok(await runs.stop(4, terms))
  const results = await runs.run(terms)
  t.strictSame(said(results).proven, ['model_terms changed 1 6 basis', 'model_terms missing 1 900'])
  t.ok(reusedRows(results) > 8000)
  await heal()
})

t.test('an edit that was under way when its row was compared is found', async (t) => {
  const open = await pair.cloud.connect()
  await open.query(
    `begin; set local session_replication_role = replica; update model_terms set basis = '[1,2,5]' where term = 5`,
  )
  // Younger ones end before.
  for (let n = 0; n < 5; n += 1)
    await plant(pair.cloud, 'update lexicon set documents = documents where term = 1')
  t.ok(await runs.stop(4, terms))
  await open.query('commit')
  open.release()
  t.strictSame(said(await runs.run(terms)).proven, ['model_terms changed 1 5 basis'])
  await heal()
})

t.test('what the primary has written since, and the cloud has by now, matches', async (t) => {
  t.ok(await runs.stop(4, terms))
  await pair.primary.query(
    `update model_terms set basis = '[1,2,6]' where term in (3, 4000); delete from model_terms where term = 12`,
  )
  await waitForCloud(pair)
  const results = await runs.run(terms)
  t.strictSame(said(results), nothing)
  t.match(results, [{ primaryRows: many - 1, cloudRows: many - 1 }])
  t.ok(reusedRows(results) > 6000 && reusedRows(results) < many - 2000)
  await pair.primary.query(`update model_terms set basis = '[1,2,3]' where term in (3, 4000)`)
  await pair.primary.query(`insert into model_terms values (1, 12, '[1,2,3]')`)
  await waitForCloud(pair)
})

t.test('what the primary has written since, and the cloud has not, is not called a match', async (t) => {
  t.ok(await runs.stop(4, terms))
  await pair.cloud.query('alter subscription homeport disable')
  await pair.primary.query(`update model_terms set basis = '[1,2,7]' where term = 3`)
  t.strictSame(said(await runs.run(terms)), {
    proven: [],
    undetermined: ['model_terms: the subscription is switched off'],
  })
  await pair.cloud.query('alter subscription homeport enable')
  await pair.primary.query(`update model_terms set basis = '[1,2,3]' where term = 3`)
  await waitForCloud(pair)
})

t.test('rows that were only vacuumed, frozen or locked are unchanged', async (t) => {
  t.ok(await runs.stop(4, terms))
  await pair.cloud.query('vacuum (freeze) model_terms')
  await pair.primary.query('select * from model_terms where term < 100 for update')
  t.ok(reusedRows(await runs.run(terms)) > 8000)
})

// Each changes what is read, but no xmin and no count.
const altered = [
  [
    'a column that is dropped and added with a default',
    'alter table lexicon drop column documents, add column documents integer not null default 2',
    'alter table lexicon drop column documents, add column documents integer not null default 1',
  ],
  [
    'a child that brings an old row',
    'delete from lexicon where term = 3; alter table lexicon_child inherit lexicon',
    'drop table lexicon_child; insert into lexicon values (3, 1)',
  ],
  [
    'another table in its place',
    'alter table lexicon rename to lexicon_aside; alter table lexicon_other rename to lexicon',
    'drop table lexicon; alter table lexicon_aside rename to lexicon',
  ],
] as const

t.test('a table that is not what it was is compared anew', async (t) => {
  const lexicon = { tables: ['lexicon'] }
  await pair.cloud.query(
    `create table lexicon_child (like lexicon); insert into lexicon_child values (3, 9);
     create table lexicon_other (like lexicon including all);
     insert into lexicon_other select term, documents + (term = 4)::int from lexicon`,
  )
  for (const [name, change, undo] of altered) {
    t.ok(await runs.stop(1, lexicon))
    await pair.cloud.query(change)
    const resumed = await runs.run(lexicon)
    t.match(runs.notes, [/its table on the cloud was altered|rows of lexicon may change without/], name)
    t.equal(reusedRows(resumed), 0, name)
    t.equal(said(resumed).proven.length, name.startsWith('a column') ? 20 : 1, name)
    t.strictSame(verdictsOf(resumed), verdictsOf(await runs.run({ ...lexicon, anew: true })), name)
    await pair.cloud.query(undo)
  }
  t.ok(await runs.stop(1, lexicon))
  await plant(
    pair.cloud,
    'create table aside as table lexicon; truncate lexicon; insert into lexicon table aside',
  )
  t.equal(reusedRows(await runs.run(lexicon)), 0)
  t.match(runs.notes, [/its table on the cloud was altered, emptied or rewritten since$/])
  await pair.cloud.query('drop table aside')
})

t.test('--anew uses nothing, and what is kept is of one tier and of some tables', async (t) => {
  t.ok(await runs.stop(4, terms))
  t.equal(reusedRows(await runs.run({ tables: ['lexicon'] })), 0)
  t.equal(reusedRows(await runs.run({ ...terms, tier: 'vectors' })), 0)
  const both = await runs.run({ tables: ['lexicon', 'model_terms'] })
  t.strictSame(
    both.map(({ table, rowsFromEarlier }) => [table, rowsFromEarlier > 0]),
    [
      ['model_terms', true],
      ['lexicon', false],
    ],
    'after all these runs it is still there, and serves whoever compares the same',
  )
  t.ok(await runs.stop(4, terms))
  t.equal(reusedRows(await runs.run({ ...terms, anew: true })), 0)
  t.strictSame(runs.notes, [])
})

t.test('a line that is garbled is not believed, and one that was cut off is not minded', async (t) => {
  t.ok(await runs.stop(4, terms))
  const [name = ''] = files()
  const file = join(runs.folder, name)
  const text = readFileSync(file, 'utf8')
  const lines = text.split('\n')
  const whole = parseCheckpoint(text)
  const second = whole?.ranges[1]
  t.ok(second !== undefined)
  // A delete in the second range, and the file says that it had that many rows.
  await plant(pair.cloud, 'delete from model_terms where term = 300')
  lines[2] = (lines[2] ?? '').replace('"rows":250', '"rows":249')
  t.not(lines.join('\n'), text)
  writeFileSync(file, lines.join('\n'))
  const garbled = await runs.run(terms)
  t.strictSame(said(garbled).proven, ['model_terms missing 1 300'])
  t.match(runs.notes, [/some of its lines are damaged$/])
  t.ok(reusedRows(garbled) > 8000, 'all others are')
  await heal()

  writeFileSync(file, text.slice(0, -20))
  t.ok(reusedRows(await runs.run(terms)) > 8000)
  t.strictSame(runs.notes, [])

  writeFileSync(file, text.slice(20))
  t.equal(reusedRows(await runs.run(terms)), 0)
  t.match(runs.notes, [/its file is damaged, or of another version$/])

  // Old lines, written as they would be.
  const old = (whole?.ranges ?? []).map((range) => ({ ...range, at: range.at - 25 * 3_600_000 }))
  writeFileSync(file, `${lines[0] ?? ''}\n${formatRanges(whole?.head.id ?? '', old)}`)
  t.equal(reusedRows(await runs.run(terms)), 0)
  t.match(runs.notes, [/it is older than 24 hours$/])
})

t.test('a second run at the same time keeps nothing, and says so', async (t) => {
  const [primary, cloud] = await Promise.all([readServerFacts(pair.primary), readServerFacts(pair.cloud)])
  const { folder } = runs
  const first = Checkpoint.open({
    folder,
    servers: { primary, cloud },
    tier: 'both',
    note: (text) => t.fail(text),
  })
  t.ok(await runs.stop(4, terms))
  t.match(runs.notes, [/^process \d+ compares these servers too: this run keeps nothing for a later one$/])
  t.match(files(), [/^[0-9a-f]{12}\.lock$/], 'and no file')
  first?.close()
})

t.test('what nobody came back for within a day goes with the next run, of whatever servers', async (t) => {
  const names = ['0123456789ab-lexicon.both.jsonl', '0123456789ab-sources.rows.jsonl', 'mine.jsonl']
  mkdirSync(runs.folder)
  for (const name of names) writeFileSync(join(runs.folder, name), '')
  const dayAgo = Date.now() / 1000 - 25 * 3600
  for (const place of [0, 2]) utimesSync(join(runs.folder, names[place] ?? ''), dayAgo, dayAgo)
  await runs.run({ tables: ['lexicon'] })
  t.strictSame(files(), names.slice(1))
})

t.test('a disk that takes nothing is said once, and the tables are compared all the same', async (t) => {
  mkdirSync(runs.folder)
  Object.defineProperty(runs, 'folder', { value: join(runs.folder, 'file', 'verify') })
  writeFileSync(join(runs.folder, '../../file'), '')
  t.strictSame(said(await runs.run(terms)), nothing)
  t.match(runs.notes, [
    /^nothing is kept for a later run in .*file\/verify .*: a part of that path is a file$/,
  ])
})
