import type { Test } from 'tap'
import { contentTables } from '../../replication/promote/fence.ts'
import { startOps } from '../support/ops-process.ts'
import type { RelayPair } from '../support/relay-pair.ts'

export interface Promoted {
  code: number
  stderr: string
  value: {
    applied?: boolean
    mode?: string
    home?: string
    loss?: { kind: string } | null
    steps?: { what: string }[]
  }
}

/** `ops promote` with these words, as a process; it may be killed at a failpoint, which is exit code 137 here. */
export async function promote(
  t: Test,
  pair: RelayPair,
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
export async function isMarked(pair: RelayPair): Promise<boolean> {
  const { rows } = await pair.cloud.query(`select from relay_progress where state = 'promoted'`)
  return rows.length > 0
}

/** Asks for everything that a primary has and a cloud may lack. */
export async function provesPrimary(t: Test, pair: RelayPair): Promise<void> {
  const { cloud } = pair
  const before = await cloud.query<{ max: string }>(
    `select greatest((select max(change_seq) from sources), (select max(change_seq) from segments), (select max(change_seq) from tombstones))::text as max`,
  )
  await cloud.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at) values (-7, 'video', 'x', 'public', 'transcript', now())`,
  )
  await cloud.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine) values (-7, -7, 'public', 0, 'x', '[]', 'x')`,
  )
  await cloud.query('delete from sources where id = -7')
  const { rows } = await cloud.query<{ above: boolean }>(
    'select change_seq > $1::int8 as above from tombstones where segment_id = -7',
    [before.rows[0]?.max ?? '0'],
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
}
