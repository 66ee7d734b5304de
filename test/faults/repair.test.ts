import t from 'tap'
import type { Test } from 'tap'
import type pg from 'pg'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { verifyExact } from '../../replication/verify/verify-exact.ts'
import { createReplication, insertTalk, plant } from '../replication/support.ts'
import { said } from '../replication/verify/plants.ts'
import { startOps } from '../support/ops-process.ts'
import { pick, randomNumbers } from '../support/random.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { seeds } from './support.ts'

// Row 33 of the fault catalogue: ops repair dies at every step while the rows it repairs are written.
const places = ['locked', 'requested', 'before-commit', 'written', 'before-announce'] as const
const talks = 30

interface Pair {
  primary: pg.Pool
  cloud: pg.Pool
  replicationUrl: string
  settings: Readonly<Record<string, string>>
}

async function prepare(primary: pg.Pool): Promise<void> {
  for (let id = 1; id <= talks; id += 1) await insertTalk(primary, { id })
  await primary.query('update sources set views = 0')
}

const pairs: Record<string, (t: Test) => Promise<Pair>> = {
  native: async (t) => {
    const pair = await createReplication(t)
    await prepare(pair.primary)
    const settings = {
      LOCAL_DATABASE_URL: pair.primaryUrl,
      PRODUCTION_DATABASE_URL: pair.cloudUrl,
      REPLICATION_DATABASE_URL: pair.replicationUrl,
    }
    return { ...pair, settings }
  },
  relay: async (t) => {
    const pair = await createRelayPair(t, { prepare })
    startRelay(t, pair)
    return { ...pair, replicationUrl: pair.settings['REPLICATION_DATABASE_URL'] ?? '' }
  },
}

/** At home views only grow; a row of the cloud that goes back was overwritten by an older one. */
async function watchOrder(cloud: pg.Pool): Promise<() => Promise<number>> {
  await cloud.query(
    `create table went_back (id bigint);
     create function note_going_back() returns trigger language plpgsql as $$
     begin
       if new.views < old.views then insert into went_back values (new.id); end if;
       return null;
     end $$;
     create trigger going_back after update on sources for each row execute function note_going_back();
     alter table sources enable always trigger going_back;
     grant all on went_back to public`,
  )
  return async () => {
    const { rows } = await cloud.query<{ n: number }>('select count(*)::int as n from went_back')
    return rows[0]?.n ?? -1
  }
}

function writeAllTheTime(t: Test, primary: pg.Pool, seed: number): () => Promise<void> {
  const random = randomNumbers(seed)
  let isOver = false
  const done = (async () => {
    while (!isOver) {
      await primary.query('update sources set views = views + 1 where id = $1', [1 + pick(random, talks)])
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  const stop = async (): Promise<void> => {
    isOver = true
    await done
  }
  t.teardown(stop)
  return stop
}

for (const [mode, create] of Object.entries(pairs)) {
  t.test(mode, async (t) => {
    const pair = await create(t)
    await waitForCloud(pair)
    const wentBack = await watchOrder(pair.cloud)
    for (const seed of seeds({ quick: 3, full: 50 })) {
      const random = randomNumbers(seed)
      const id = (): number => 1 + pick(random, talks)
      const stop = writeAllTheTime(t, pair.primary, seed)
      await plant(
        pair.cloud,
        `update sources set title = 'wrong ${seed}' where id in (${id()}, ${id()}); delete from sources where id = ${id()};
         delete from segment_terms where segment_id in (${id()}, ${id()});
         insert into lexicon values (${1000 + seed}, 1)`,
      )
      const args = ['repair', '--apply', '--delete']
      const place = places[pick(random, places.length)] ?? 'locked'
      const failpoint = `repair.${place}:${1 + pick(random, 3)}:kill`
      const killed = startOps(t, { args, settings: pair.settings, failpoint })
      await killed.exited
      const again = startOps(t, { args, settings: pair.settings })
      const code = await again.ends()
      await stop()
      t.equal(code, 0, `seed ${seed}, ${failpoint}: ${again.stdout}${again.stderr.slice(-1000)}`)
      const { proven, undetermined } = said(await verifyExact({ ...pair, record: false }))
      t.strictSame([proven, undetermined, await wentBack()], [[], [], 0], `seed ${seed}, ${failpoint}`)
    }
  })
}
