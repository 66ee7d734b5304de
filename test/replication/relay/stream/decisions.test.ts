import t from 'tap'
import { idleDelayMs, type IdleFacts } from '../../../../replication/relay/stream/idle-advance.ts'
import { judgeLink, linkTimes, type LinkFacts } from '../../../../replication/relay/stream/link-watch.ts'
import { ReplyRequests } from '../../../../replication/relay/stream/reply-requests.ts'
import { chooseProtocol, renderStartCommand } from '../../../../replication/relay/stream/start-command.ts'
import { explainOpenError, explainStreamError } from '../../../../replication/relay/stream/stream-errors.ts'
import { chooseStart, type StreamStart } from '../../../../replication/relay/stream/stream-start.ts'

t.test('an empty batch leads on when nothing is under way, and not at every keepalive', async (t) => {
  const facts: IdleFacts = { sentLsn: 200n, endLsn: 100n, isIdle: true, sinceBatchMs: 0, isAwaited: false }
  t.equal(idleDelayMs(facts), 3_000)
  t.equal(idleDelayMs({ ...facts, sinceBatchMs: 1_000 }), 2_000)
  t.equal(idleDelayMs({ ...facts, sinceBatchMs: 60_000 }), 0)
  t.equal(idleDelayMs({ ...facts, sentLsn: 2n ** 20n + 100n }), 250, 'a megabyte is worth more')
  t.equal(idleDelayMs({ ...facts, isAwaited: true }), 0, 'a server that shuts down waits for it')
  t.equal(idleDelayMs({ ...facts, isIdle: false, isAwaited: true, sinceBatchMs: 60_000 }), null)
  t.equal(idleDelayMs({ ...facts, sentLsn: 100n, sinceBatchMs: 60_000 }), null, 'never to where it is')
  t.equal(idleDelayMs({ ...facts, sentLsn: 99n, sinceBatchMs: 60_000 }), null, 'never back')
})

t.test('silence is the death of the link, unless it was our own', async (t) => {
  const facts: LinkFacts = {
    nowMs: 100_000,
    lastByteAtMs: 60_000,
    lastTickAtMs: 90_000,
    tickMs: 10_000,
    timeoutMs: 60_000,
    isPaused: false,
  }
  t.equal(judgeLink(facts), 'alive')
  t.equal(judgeLink({ ...facts, lastByteAtMs: 40_000 }), 'alive')
  t.equal(judgeLink({ ...facts, lastByteAtMs: 39_999 }), 'silent')
  t.equal(judgeLink({ ...facts, lastByteAtMs: 0, isPaused: true }), 'unknown', 'we did not read')
  t.equal(judgeLink({ ...facts, lastByteAtMs: 0, lastTickAtMs: 79_999 }), 'unknown', 'we did not run')
  t.same(linkTimes(60_000), { timeoutMs: 60_000, tickMs: 10_000 })
  t.same(linkTimes(3_000), { timeoutMs: 3_000, tickMs: 1_000 })
  t.same(linkTimes(0), { timeoutMs: 60_000, tickMs: 10_000 }, 'a server without a limit gets ours')
})

t.test('a server that asks again at every answer is shutting down', async (t) => {
  const requests = new ReplyRequests()
  for (let atMs = 0; atMs < 600_000; atMs += 1_500) t.equal(requests.add(5n, atMs), 0)
  t.notOk(requests.isShuttingDown(600_000), 'once in half its timeout is usual')
  let atMs = 700_000
  for (; atMs < 700_008; atMs += 1) t.equal(requests.add(5n, atMs), 0)
  t.ok(requests.isShuttingDown(atMs))
  t.equal(requests.add(5n, atMs), 50, 'and is answered with a pause')
  t.notOk(requests.hasWaited(atMs))
  for (; atMs < 706_000; atMs += 50) requests.add(5n, atMs)
  t.ok(requests.hasWaited(atMs))
  t.equal(requests.add(6n, atMs), 0, 'a new position is a new beginning')
  t.notOk(requests.isShuttingDown(atMs))
})

t.test('the command that starts the stream', async (t) => {
  t.same([150_020, 160_000, 170_010, 180_000].map(chooseProtocol), [3, 4, 4, 4])
  t.same([140_000, 130_000].map(chooseProtocol), [2, 1])
  const command = { slot: 'a_1', publication: `x, "y'`, startLsn: '0/16B3748', binary: true } as const
  t.equal(
    renderStartCommand({ ...command, protocol: 3 }),
    `START_REPLICATION SLOT "a_1" LOGICAL 0/16B3748 (proto_version '3', publication_names '"x, ""y''"', binary 'true', messages 'true', streaming 'on')`,
  )
  t.notMatch(renderStartCommand({ ...command, protocol: 1 }), /streaming/, 'protocol 1 does not know it')
})

const start: StreamStart = {
  systemIdentifier: '7',
  timeline: 1,
  walLsn: '0/3000',
  serverVersion: 150_000,
  walSenderTimeoutMs: 60_000,
  database: 'home',
  slot: {
    name: 's',
    plugin: 'pgoutput',
    database: 'home',
    walStatus: 'reserved',
    confirmedLsn: '0/1000',
    active: false,
    holderPid: null,
    holder: null,
    holderRole: null,
    holderAddress: null,
  },
}

t.test('a position that Postgres would silently replace is refused', async (t) => {
  t.equal(chooseStart(start, 's', '0/0'), 0x1000n)
  t.equal(chooseStart(start, 's', '0/1000'), 0x1000n)
  t.equal(chooseStart(start, 's', '0/3000'), 0x3000n)
  t.throws(() => chooseStart(start, 's', '0/FFF'), { code: 'SLOT_RECREATED' })
  t.throws(() => chooseStart(start, 's', '0/3001'), { code: 'PRIMARY_REWOUND' })
  t.throws(() => chooseStart({ ...start, slot: null }, 's', '0/1000'), { code: 'SLOT_MISSING' })
})

t.test('errors of the server have our names', async (t) => {
  const target = { connectionString: 'postgres://h:5432/d', slot: 's', publication: 'p' }
  const failure = (code: string | undefined, message: string): Error =>
    Object.assign(new Error(message), code === undefined ? {} : { code })
  const table: [Error, string][] = [
    [failure('08P01', 'unsupported startup parameter: replication'), 'POOLED_CONNECTION'],
    [failure('42601', 'syntax error at or near "IDENTIFY_SYSTEM"'), 'POOLED_CONNECTION'],
    [failure(undefined, 'replication connections are not supported'), 'POOLED_CONNECTION'],
    [failure('ECONNREFUSED', 'connect ECONNREFUSED'), 'PRIMARY_UNREACHABLE'],
    [failure('28P01', 'password authentication failed'), 'PRIMARY_UNREACHABLE'],
    [failure('57P03', 'the database system is starting up'), 'PRIMARY_UNREACHABLE'],
    [failure('53300', 'number of requested standby connections exceeds'), 'PRIMARY_UNREACHABLE'],
    [failure(undefined, 'Connection terminated unexpectedly'), 'PRIMARY_UNREACHABLE'],
    [failure('42501', 'must be superuser or replication role to start walsender'), 'REPLICATION_DENIED'],
    [failure('42704', 'replication slot "s" does not exist'), 'SLOT_MISSING'],
    [failure('42704', 'publication "p" does not exist'), 'PUBLICATION_MISSING'],
    [failure('55000', 'cannot read from logical replication slot'), 'SLOT_LOST'],
    [failure('58P01', 'requested WAL segment has already been removed'), 'SLOT_LOST'],
  ]
  for (const [error, code] of table) {
    t.match(explainOpenError(error, target), { code, cause: error }, error.message)
  }
  t.match(explainStreamError(null, target), { code: 'PRIMARY_UNREACHABLE' })
  const unknown = failure('XX000', 'unexpected')
  t.equal(explainStreamError(unknown, target), unknown, 'what we do not know stays as it is')
})
