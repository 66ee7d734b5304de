import { pino } from 'pino'
import t from 'tap'
import { parseLsn } from '../../../core/lsn.ts'
import { HistoryCheck, verifyHistory } from '../../../replication/relay/history-check.ts'
import { openReplicationStream } from '../../../replication/relay/stream/replication-stream.ts'
import { temporaryFolder } from '../../support/api.ts'
import { createRelayPair, runOps } from '../../support/relay-pair.ts'
import { insertTalk } from '../support.ts'

/** [start of the commit record, its end] */
type Commit = readonly [number, number]

const lsn = (position: number): string => `0/${position.toString(16).toUpperCase()}`

/** Whether the commits of one batch fit a cloud that has its last commit at 0x1000 and everything to 0x1100. */
function fits(from: number, commits: readonly Commit[], batchEnd: number): boolean {
  const check = new HistoryCheck({ commitLsn: lsn(0x1000), endLsn: lsn(0x1100) }, lsn(from))
  const positions = commits.map(([start, end]) => ({ commitLsn: BigInt(start), endLsn: BigInt(end) }))
  return check.isDone || check.fits(positions, BigInt(batchEnd))
}

t.test('commits that come again, and those of another history', async (t) => {
  const cases: [string, boolean, ...Parameters<typeof fits>][] = [
    ['nothing comes again', true, 0x1100, [[0x1200, 0x1280]], 0x1280],
    ['the same', true, 0x0f00, [[0x1000, 0x1080]], 0x1080],
    [
      'the same and what is new',
      true,
      0x0f00,
      [
        [0x1000, 0x1080],
        [0x1100, 0x1180],
      ],
      0x1180,
    ],
    [
      'earlier ones before it',
      true,
      0x0e00,
      [
        [0x0f00, 0x0f80],
        [0x1000, 0x1080],
      ],
      0x1100,
    ],
    ['more may follow', true, 0x0e00, [[0x0f00, 0x0f80]], 0x0f80],
    ['an idle end', true, 0x1080, [], 0x1100],
    ['the commit is not there', false, 0x0f00, [], 0x1100],
    ['another in its place', false, 0x0f00, [[0x0ff0, 0x1090]], 0x1200],
    ['one that the cloud never had', false, 0x1080, [[0x1090, 0x10f0]], 0x10f0],
    ['one that reaches over the end', false, 0x0f00, [[0x1000, 0x1180]], 0x1180],
    ['only later ones', false, 0x0f00, [[0x1100, 0x1180]], 0x1180],
  ]
  for (const [what, expected, ...given] of cases) t.equal(fits(...given), expected, what)
})

t.test('a slot that went back, on the same primary and on one with another history', async (t) => {
  const pair = await createRelayPair(t)
  const relay = { args: ['relay', '--until-caught-up'], settings: pair.settings }
  const known = async () => {
    const { rows } = await pair.cloud.query<{ commitLsn: string; endLsn: string }>(
      'select commit_lsn::text as "commitLsn", end_lsn::text as "endLsn" from relay_progress',
    )
    return rows[0] ?? { commitLsn: '', endLsn: '' }
  }
  const slot = `${pair.slot}_old`
  await pair.primary.query('select pg_copy_logical_replication_slot($1, $2)', [pair.slot, slot])
  const open = async () => {
    const { rows } = await pair.primary.query<{ lsn: string }>(
      'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
      [slot],
    )
    const startLsn = rows[0]?.lsn ?? ''
    const stream = await openReplicationStream({
      connectionString: pair.primaryUrl,
      slot,
      publication: 'homeport',
      startLsn,
      spillFolder: temporaryFolder(t),
      signal: new AbortController().signal,
      log: pino({ level: 'silent' }),
    })
    return { stream, startLsn }
  }
  await insertTalk(pair.primary, { id: 1 })
  await insertTalk(pair.primary, { id: 2 })
  await runOps(relay)

  const { stream, startLsn } = await open()
  const seen = await known()
  t.ok(parseLsn(seen.commitLsn) < parseLsn(seen.endLsn))
  await t.resolves(verifyHistory(stream, seen, startLsn), 'what the cloud has comes again')

  // Private rows move the log on, and nothing of it is published.
  await insertTalk(pair.primary, { id: 3, visibility: 'private' })
  await runOps(relay)
  const idle = await known()
  t.equal(idle.commitLsn, seen.commitLsn, 'the last commit stays what it was')
  t.not(idle.endLsn, seen.endLsn)
  const later = await open()
  await t.resolves(verifyHistory(later.stream, idle, later.startLsn))

  const other = await open()
  const elsewhere = { ...idle, commitLsn: lsn(Number(parseLsn(idle.commitLsn)) - 8) }
  await t.rejects(verifyHistory(other.stream, elsewhere, other.startLsn), { code: 'PRIMARY_REWOUND' })
  const missing = await open()
  const ahead = { ...idle, commitLsn: lsn(Number(parseLsn(idle.endLsn)) - 8) }
  await t.rejects(verifyHistory(missing.stream, ahead, missing.startLsn), { code: 'PRIMARY_REWOUND' })
})
