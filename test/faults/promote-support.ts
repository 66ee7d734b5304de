import type { Test } from 'tap'
import type pg from 'pg'
import { contentTables } from '../../replication/promote/fence.ts'
import { startOps } from '../support/ops-process.ts'

export interface Promoted {
  code: number
  stderr: string
  value: {
    applied?: boolean
    mode?: string
    home?: string
    loss?: { kind: string } | null
    steps?: { what: string }[]
    left?: string[]
  }
}

/** A cloud, and the settings that lead to it and to its home. */
export interface Promotable {
  cloud: pg.Pool
  settings: Readonly<Record<string, string>>
}

/** `ops promote` with these words, as a process; it may be killed at a failpoint, which is exit code 137 here. */
export async function promote(
  t: Test,
  pair: Pick<Promotable, 'settings'>,
  words: string[],
  failpoint?: string,
): Promise<Promoted> {
  const ops = startOps(t, {
    args: ['promote', ...words, '--json'],
    settings: pair.settings,
    ...(failpoint === undefined ? {} : { failpoint }),
  })
  const { code, signal } = await ops.exited
  const value = JSON.parse(ops.stdout === '' ? '{}' : ops.stdout) as Promoted['value']
  return { code: code ?? (signal === 'SIGKILL' ? 137 : -1), stderr: ops.stderr, value }
}

export const apply = ['--apply', '--yes']
/** $1: which row */
export const insert = `insert into lexicon (term, documents) values (1000000 + $1::int, 1)`

/** Whether the cloud says that it is a primary. */
export async function isMarked(pair: Pick<Promotable, 'cloud'>): Promise<boolean> {
  const { rows } = await pair.cloud.query(`select from relay_progress where state = 'promoted'`)
  return rows.length > 0
}

/** Asks for everything that a primary has and a cloud may lack, with rows of an id that nobody has used. */
export async function provesPrimary(t: Test, pair: Promotable, id = -7): Promise<void> {
  const { cloud } = pair
  const before = await cloud.query<{ max: string }>(
    `select greatest((select max(change_seq) from sources), (select max(change_seq) from segments), (select max(change_seq) from tombstones))::text as max`,
  )
  await cloud.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at) values ($1, 'video', 'x', 'public', 'transcript', now())`,
    [id],
  )
  await cloud.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine) values ($1, $1, 'public', 0, 'x', '[]', 'x')`,
    [id],
  )
  await cloud.query('delete from sources where id = $1', [id])
  const { rows } = await cloud.query<{ above: boolean }>(
    'select change_seq > $1::int8 as above from tombstones where segment_id = $2',
    [before.rows[0]?.max ?? '0', id],
  )
  t.same(rows, [{ above: true }], 'sequence, foreign key and tombstone')
  t.equal(
    (
      await cloud.query(`select from pg_constraint where contype = 'f' and convalidated and conrelid = any (
    array['sources', 'segments', 'segment_terms', 'embeddings', 'model_terms']::regclass[])`)
    ).rowCount,
    5,
  )
  const role = new URL(pair.settings['RELAY_DATABASE_URL'] ?? '').username
  for (const { name } of contentTables) {
    const found = await cloud.query(
      `select from (values ('insert'), ('update'), ('delete'), ('truncate')) as p (privilege)
       where has_table_privilege($1, $2, p.privilege)`,
      [role, name],
    )
    t.equal(found.rowCount, 0, `the relay's role writes no ${name}`)
  }
  const may = await cloud.query<{ may: boolean }>(
    `select has_parameter_privilege($1, 'session_replication_role', 'set') as may`,
    [role],
  )
  t.same(may.rows, [{ may: false }], "the relay's role switches no trigger off")
}
