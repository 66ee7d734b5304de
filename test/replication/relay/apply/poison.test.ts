import t from 'tap'
import { formatLsn } from '../../../../core/lsn.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { createFollowing, endLsn, insertSources } from './fixture.ts'

const constraint = `alter table sources add constraint no_seven check (title not in ('talk 17', 'talk 5000', 'talk 9999', 'secret')) not valid`

interface Quarantined {
  what: string
  error_code: string
  reason: string
  old_image: Record<string, unknown> | null
  new_image: Record<string, unknown> | null
}

const readQuarantine = `select table_name || ' ' || operation || ' ' || key::text as what, error_code, reason, old_image, new_image
  from relay_quarantine order by id`

t.test('a row that the cloud refuses stops the relay, and is named', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, slot } = following
  await cloud.query(constraint)
  await insertSources(primary, 1, 10_000)
  const [transaction] = await following.take()
  const batch = following.batch([transaction!], following.before)
  const error = await following.apply(batch).then(
    () => undefined,
    (thrown: Error) => thrown,
  )
  t.match(error, {
    code: 'POISON_ROW',
    message: `the cloud refuses sources (id 17) in the transaction committed at ${formatLsn(transaction!.commitLsn)}: SQLSTATE 23514, constraint no_seven`,
    hint: /--quarantine/,
  })
  t.notMatch(error?.stack, /talk 17/, 'without a value of the row')
  t.equal((await cloud.query('select from sources')).rowCount, 0)
  t.equal(await endLsn(cloud, slot), following.before)
})

t.test('quarantine puts it aside with both images, and the rest arrives', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 20_001, 20_010)
  await following.follow()
  await cloud.query(constraint)
  await insertSources(primary, 1, 10_000)
  await primary.query(`update sources set title = 'secret', views = 9223372036854775807 where id = 20005`)
  await primary.query(`update sources set title = 'fine' where id = 20006`)
  t.match(await following.follow({ quarantine: true }), { quarantined: 4, resolved: 0, rows: 10_002 })
  t.same(
    (await compareRows(primary, cloud)).sort(),
    [
      'sources [17] is missing in the cloud',
      'sources [20005] differs',
      'sources [5000] is missing in the cloud',
      'sources [9999] is missing in the cloud',
    ],
    'the table differs in exactly these rows',
  )
  const { rows } = await cloud.query<Quarantined>(readQuarantine)
  t.match(rows, [
    {
      what: 'sources insert {17}',
      error_code: '23514',
      old_image: null,
      new_image: { id: 17, title: 'talk 17' },
    },
    { what: 'sources insert {5000}' },
    { what: 'sources insert {9999}' },
    {
      what: 'sources update {20005}',
      reason: /no_seven/,
      old_image: { id: 20_005, title: 'talk 20005', views: null },
      new_image: { id: 20_005, title: 'secret', visibility: 'public' },
    },
  ])
  const exact = await cloud.query(
    `select from relay_quarantine where new_image ->> 'views' = '9223372036854775807'`,
  )
  t.equal(exact.rowCount, 1, 'no number loses a digit')

  await primary.query(`update sources set title = 'better' where id in (17, 20005)`)
  t.match(await following.follow({ quarantine: true }), { quarantined: 0, resolved: 1 })
  t.equal((await compareRows(primary, cloud)).length, 2, 'a row that is fine again comes back')
})

t.test('the image keeps values that were not sent, and those that the type itself refuses', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 1)
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select id, 1, 'public', id, (select string_agg(md5((id * n)::text), '') from generate_series(1, 500) n), '[]', 'test'
     from generate_series(1, 3) id`,
  )
  await following.follow()
  await cloud.query(`alter table segments add check (speaker <> 'Bad')`)
  await primary.query(`update segments set speaker = 'Bad' where id = 2`)
  t.match(await following.follow({ quarantine: true }), { quarantined: 1 })
  const { rows } = await cloud.query<{ whole: boolean }>(
    `select length(new_image ->> 'text') = 16000 and old_image ->> 'speaker' is null and new_image ->> 'speaker' = 'Bad' as whole
     from relay_quarantine`,
  )
  t.same(rows, [{ whole: true }])
})

t.test('a delete, a trigger that raises and one that keeps rows back', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await insertSources(primary, 1, 20)
  await following.follow()
  await cloud.query(`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if tg_op = 'DELETE' then raise exception 'not this one'; end if;
      return null;
    end $$;
    create trigger refuse_delete before delete on sources for each row when (old.id = 5) execute function refuse();
    create trigger keep_back before insert on sources for each row when (new.id = 25) execute function refuse();
    alter table sources enable always trigger refuse_delete, enable always trigger keep_back`)
  await primary.query('delete from sources where id between 4 and 6')
  await t.rejects(following.apply(following.batch(await following.take(), following.before)), {
    code: 'POISON_ROW',
    message: /sources \(id 5\) .* P0001/,
  })
  await insertSources(primary, 21, 40)
  t.match(
    await following.apply(following.batch(await following.take(), following.before), { quarantine: true }),
    { quarantined: 1, resolved: 0 },
    'through COPY as well',
  )
  t.match((await cloud.query<Quarantined>(readQuarantine)).rows, [
    { what: 'sources insert {25}', error_code: '02000' },
  ])
})

t.test('values that are none of their type', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await primary.query('insert into lexicon values (1, 2)')
  const [transaction] = await following.take()
  // The last four bytes of the insert are documents; two more make it no integer.
  const frames = transaction!.frames.map((frame) => {
    if (frame[0] !== 0x49) return frame
    const longer = Buffer.concat([frame, Buffer.of(0, 0)])
    longer.writeInt32BE(6, frame.length - 8)
    return longer
  })
  const batch = following.batch([{ ...transaction!, frames }], following.before)
  await t.rejects(following.apply(batch), { code: 'POISON_ROW', message: /lexicon \(term 1\)/ })
  t.match(await following.apply(batch, { quarantine: true }), { quarantined: 1 })
  t.match((await cloud.query<Quarantined>(readQuarantine)).rows, [{ new_image: { term: '\\x00000001' } }])
})
