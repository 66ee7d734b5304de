import t, { type Test } from 'tap'
import { insertTalk, plant } from '../replication/support.ts'
import { compareRows, passFence } from '../support/oracles/equality.ts'
import { watchPair, type Watch } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { stopsWith } from './support.ts'

interface Conflict {
  table_name: string
  operation: string
  resolution: string
}

async function takeConflicts(pair: RelayPair): Promise<Conflict[]> {
  const { rows } = await pair.cloud.query<Conflict & { id: string }>(
    'delete from relay_conflicts returning *',
  )
  return rows
    .sort((a, b) => Number(a.id) - Number(b.id))
    .map(({ table_name, operation, resolution }) => ({ table_name, operation, resolution }))
}

t.test('rows', async (t) => {
  const pair = await createRelayPair(t)
  const { primary, cloud } = pair
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair)

  // Row 24: a text stored apart is not sent again when another column changes.
  await t.test('an unchanged long value stays in the cloud', async (t) => {
    const text = Array.from({ length: 3_000 }, (_, n) => (n * 7919).toString(36)).join('')
    await insertTalk(primary, { id: 1, text })
    await primary.query(`update segments set speaker = 'Ann' where id = 1`)
    await primary.query(`update segments set text = text || '!', speaker = null where id = 1`)
    await primary.query(`update segments set speaker = 'Ann' where id = 1`)
    await watch.judge(t, 'TOAST')
    const { rows } = await cloud.query<{ text: string }>('select text from segments where id = 1')
    t.equal(rows[0]?.text, `${text}!`)
  })

  // Rows 14 and 25.
  await t.test('keys that change, also with a long value beside them; a truncated table', async (t) => {
    await primary.query(`insert into sources (id, kind, title, visibility, transcript_method, processed_at)
      values (50, 'video', repeat(md5('a'), 300), 'public', 'transcript', now())`)
    await primary.query('update sources set id = 51 where id = 50')
    await primary.query(`begin; update sources set id = 52, views = 1 where id = 51;
      update sources set views = 2 where id = 52; delete from sources where id = 52;
      insert into sources (id, kind, title, visibility, transcript_method, processed_at)
      values (52, 'meeting', 'another', 'public', 'transcript', now()); commit`)
    await primary.query('begin; truncate collection; truncate lexicon cascade; rollback')
    await primary.query(`insert into collection (documents, average_length) values (1, 0.1)`)
    await primary.query('begin; truncate collection; insert into collection values (1, 2, 0.3); commit')
    await watch.judge(t, 'keys')
  })

  // Row 27.
  await t.test(
    'an update of a row that the cloud lost brings it back; a delete is done already',
    async (t) => {
      await insertTalk(primary, {
        id: 60,
        text: Array.from({ length: 3_000 }, (_, n) => n.toString(36)).join(),
      })
      await insertTalk(primary, { id: 61 })
      await passFence(primary, cloud)
      await plant(cloud, 'delete from embeddings where segment_id in (60, 61)')
      await plant(cloud, 'delete from segments where id in (60, 61)')
      // The text is not sent: only the primary has the whole row.
      await primary.query(`update segments set speaker = 'Bob' where id = 60`)
      await primary.query('delete from segments where id = 61')
      await passFence(primary, cloud)
      const conflicts = await takeConflicts(pair)
      t.match(conflicts[0], { table_name: 'segments', operation: 'update' })
      t.match(conflicts.slice(1), [{ operation: 'delete' }, { operation: 'delete' }])
      t.same(await compareRows(primary, cloud), ['embeddings [1, 60] is missing in the cloud'])
      await primary.query('update embeddings set embedding = embedding where segment_id = 60')
      await passFence(primary, cloud)
      t.same(await compareRows(primary, cloud), [])
      t.notOk(relay.hasEnded)
    },
  )
  t.match(await relay.terminate(), { code: 0 })

  // Row 26.
  await t.test('a row that somebody else wrote in the cloud stops it, and shows the key', async (t) => {
    await plant(cloud, 'insert into lexicon values (4711, 1)')
    await primary.query(
      'begin; insert into lexicon values (4710, 5); insert into lexicon values (4711, 5); commit',
    )
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'DUPLICATE_KEY', message: /lexicon.*4711/ })
    const { rows } = await cloud.query('select documents from lexicon where term in (4710, 4711)')
    t.same(rows, [{ documents: 1 }], 'nothing of that transaction is there, and nothing was written over')
    await plant(cloud, 'delete from lexicon where term = 4711')
    await equalAfterRestart(t, pair, watch)
  })

  // Row 28.
  await t.test('a row that the cloud refuses', async (t) => {
    await cloud.query('alter table lexicon add constraint no_666 check (documents <> 666)')
    await primary.query(`begin; insert into lexicon select n, 5 from generate_series(5000, 5400) as n;
      update lexicon set documents = 666 where term = 5123; insert into lexicon values (5500, 1); commit`)
    await primary.query('insert into lexicon values (5501, 1)')
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'POISON_ROW', message: /lexicon.*5123/ })

    const going = startRelay(t, pair, { args: ['--quarantine'] })
    await passFence(primary, cloud)
    t.same(await compareRows(primary, cloud), ['lexicon [5123] differs'], 'the rest of it went on')
    const { rows } = await cloud.query(
      'select table_name, key, old_image, new_image, error_code from relay_quarantine',
    )
    t.match(rows, [
      {
        table_name: 'lexicon',
        key: ['5123'],
        old_image: { documents: 5 },
        new_image: { documents: 666 },
        error_code: '23514',
      },
    ])
    await going.terminate()
  })
  t.same(watch.sampler.violations, [])
})

async function equalAfterRestart(t: Test, pair: RelayPair, watch: Watch): Promise<void> {
  const relay = startRelay(t, pair)
  await passFence(pair.primary, pair.cloud)
  t.same(await compareRows(pair.primary, pair.cloud), [])
  t.same(watch.sampler.violations, [])
  const { rows } = await pair.cloud.query('select state, stop_code from relay_progress')
  t.same(rows, [{ state: 'following', stop_code: null }], 'the stop is forgotten')
  t.match(await relay.terminate(), { code: 0 })
}
