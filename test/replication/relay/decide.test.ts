import t from 'tap'
import { explainConnectionError } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
import {
  decide,
  explainStop,
  isRefusal,
  nameRefusal,
  type Decision,
} from '../../../replication/relay/decide.ts'

function withCode(code: string, message = 'some text'): Error {
  return Object.assign(new Error(message), { code })
}

const unreachable = (cause: unknown): HomeportError =>
  explainConnectionError(cause, { connectionString: 'postgres://a:b@c/d', applicationName: 'test' })

t.test('what is repeated, what is reconnected, what ends the process', async (t) => {
  const always: [unknown, Decision][] = [
    ...['40001', '40P01', '55P03', '55006', '57014', '53100', '53200', '58030', 'XX000'].map(
      (code): [unknown, Decision] => [withCode(code), 'again'],
    ),
    ...['08006', '08P01', '57P01', '57P02', '57P03', '53300', '25006', '25P03'].map(
      (code): [unknown, Decision] => [withCode(code), 'reconnect'],
    ),
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'UND_ERR_SOCKET', 'EAI_AGAIN'].map(
      (code): [unknown, Decision] => [withCode(code), 'reconnect'],
    ),
    ...[
      '22P02',
      '23505',
      '23514',
      '42804',
      '42501',
      '42P01',
      'XX001',
      '0A000',
      'ENOSPC',
      'ERR_ASSERTION',
    ].map((code): [unknown, Decision] => [withCode(code), 'stop']),
    [new Error('Connection terminated unexpectedly'), 'reconnect'],
    [new Error('Query read timeout'), 'reconnect'],
    [new Error('Client has encountered a connection error and is not queryable'), 'reconnect'],
    [new TypeError('undefined is not a function'), 'stop'],
    ['a text that somebody threw', 'stop'],
    [unreachable(withCode('ECONNREFUSED')), 'reconnect'],
    [unreachable(withCode('57P03')), 'reconnect'],
    [new HomeportError('STREAM_SILENT', 'x'), 'reconnect'],
    [new HomeportError('GATEWAY_UNREACHABLE', 'x'), 'reconnect'],
    ...[
      'RELAY_HELD',
      'RELAY_FENCED',
      'RELAY_GAP',
      'CLOUD_REWOUND',
      'PRIMARY_CHANGED',
      'PRIMARY_REWOUND',
      'SLOT_MISSING',
      'SLOT_LOST',
      'SCHEMA_MISMATCH',
      'DUPLICATE_KEY',
      'POISON_ROW',
      'SEED_UNFINISHED',
      'PGOUTPUT_DAMAGED',
      'BATCH_DAMAGED',
      'SPOOL_DAMAGED',
      'SOMETHING_NEW',
    ].map((code): [unknown, Decision] => [new HomeportError(code, 'x'), 'stop']),
  ]
  for (const [error, expected] of always) {
    for (const hasWorked of [false, true]) {
      t.equal(decide(error, { hasWorked }), expected, `${String(error)} ${JSON.stringify(error)}`)
    }
  }
})

t.test('a login that is refused is a mistake at the start and an outage later', async (t) => {
  const codes = ['28P01', '28000', '3D000', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT']
  const errors = codes.flatMap((code) => [withCode(code), unreachable(withCode(code))])
  for (const error of [...errors, new HomeportError('GATEWAY_REFUSED', 'x')]) {
    t.equal(decide(error, { hasWorked: false }), 'stop', String(error))
    t.equal(decide(error, { hasWorked: true }), 'reconnect', String(error))
    t.equal(isRefusal(error), true, String(error))
  }
  t.equal(isRefusal(unreachable(withCode('ECONNREFUSED'))), false)
  t.equal(isRefusal(new HomeportError('POISON_ROW', 'x', { cause: withCode('28P01') })), false)
})

t.test('the last word names objects, never values', async (t) => {
  const ours = new HomeportError('POISON_ROW', 'x')
  t.equal(explainStop(ours, 'cloud'), ours)
  t.match(explainStop(withCode('42501', 'permission denied for table segments'), 'cloud'), {
    code: 'CLOUD_REFUSED',
    message: 'the cloud refuses with SQLSTATE 42501: permission denied for table segments',
    hint: /setup-replication --mode relay/,
  })
  const value = explainStop(withCode('22P02', 'invalid input syntax for type integer: "a secret"'), 'primary')
  t.match(value, { code: 'PRIMARY_REFUSED', message: 'the primary refuses with SQLSTATE 22P02' })
  t.notMatch(value.message + (value.hint ?? ''), 'secret')
  t.match(explainStop(new Error('postgres://u:hidden@h/d is odd'), 'cloud'), {
    code: 'UNEXPECTED',
    message: 'the relay failed: postgres://u:****@h/d is odd',
  })
})

t.test('a login that is refused names its setting, and is a matter of configuration', async (t) => {
  t.match(nameRefusal(unreachable(withCode('28P01')), 'RELAY_DATABASE_URL'), {
    code: 'DATABASE_UNREACHABLE',
    message: 'RELAY_DATABASE_URL: c:5432/d: the password is wrong',
    hint: 'correct the password in RELAY_DATABASE_URL',
    exitCode: 2,
  })
  for (const other of [unreachable(withCode('ECONNREFUSED')), new HomeportError('POISON_ROW', 'x')]) {
    t.equal(nameRefusal(other, 'RELAY_DATABASE_URL'), other)
  }
})
