import t from 'tap'
import { HomeportError } from '../../../core/errors.ts'
import type { Batch } from '../../../replication/relay/batch.ts'
import { decodePart } from '../../../replication/relay/batch-codec.ts'
import { decide } from '../../../replication/relay/decide.ts'
import { openGatewayLink } from '../../../replication/relay/gateway-link.ts'
import { createDatabase } from '../../support/databases.ts'
import { silent } from './link-fixture.ts'
import { ask, asBatch, envelope, someLease, somePart, startTestGateway, testKey } from './support.ts'

const canary = 'kestrel-4711'

/** As the driver throws it. */
function serverError(code: string, message: string, severity = 'ERROR'): Error {
  return Object.assign(new Error(message), { code, severity, detail: `Key (id)=(${canary}) exists` })
}

const errors: [what: string, error: Error][] = [
  ['a deadlock', serverError('40P01', 'deadlock detected')],
  ['a serialization failure', serverError('40001', 'could not serialize access')],
  ['a lock', serverError('55P03', 'canceling statement due to lock timeout')],
  ['a timeout', serverError('57014', 'canceling statement due to statement timeout')],
  ['a full disk', serverError('53100', 'could not extend file: No space left on device')],
  ['no connection left', serverError('53300', 'too many clients already', 'FATAL')],
  ['a restart', serverError('57P01', 'terminating connection due to administrator command', 'FATAL')],
  ['a start', serverError('57P03', 'the database system is starting up', 'FATAL')],
  ['a standby', serverError('25006', 'cannot execute INSERT in a read-only transaction')],
  ['a missing right', serverError('42501', 'permission denied for table sources')],
  ['a missing table', serverError('42P01', 'relation "sources" does not exist')],
  ['a value', serverError('22P02', `invalid input syntax for type integer: "${canary}"`)],
  ['a constraint', serverError('23514', `row ${canary} violates a check`)],
  ['a trigger', serverError('P0001', canary)],
  ['something internal', serverError('XX000', canary)],
  ['a refused connection', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })],
  ['silence', Object.assign(new Error('silence'), { code: 'ETIMEDOUT' })],
  ['a broken connection', new Error('Connection terminated unexpectedly')],
  [
    'a database that is not there',
    new HomeportError('DATABASE_UNREACHABLE', 'db:5432', { hint: 'start it' }),
  ],
  ['a stop', new HomeportError('SCHEMA_MISMATCH', 'sources: title is missing', { hint: 'ops migrate' })],
  ['poison', new HomeportError('POISON_ROW', 'sources (id 7)', { hint: '--quarantine' })],
  ['a mistake of ours', new TypeError(`${canary} is not a function`)],
]

const batch: Batch = {
  slot: 'homeport',
  after: '0/10',
  end: '0/20',
  oldestCommitAt: null,
  async *parts() {
    yield decodePart(somePart())
  },
  release: () => Promise.resolve(),
}

void t.test(
  'the relay decides as if it had met the error itself, and learns no value of a row',
  async (t) => {
    const databaseUrl = await createDatabase(t, 'cloud')
    const { key } = await testKey(databaseUrl)
    let next: Error = new Error('none')
    const gateway = await startTestGateway(t, { databaseUrl, cloud: { apply: () => Promise.reject(next) } })
    const link = openGatewayLink({ url: gateway.url, apiKey: key, log: silent, retries: 0 })
    t.teardown(() => link.close())
    for (const [what, error] of errors) {
      next = error
      const thrown = await link.apply(batch, { lease: someLease, quarantine: false }).then(
        () => null,
        (one: unknown) => one as Error & { code?: string; hint?: string },
      )
      t.equal(decide(thrown, { hasWorked: true }), decide(error, { hasWorked: true }), what)
      t.notMatch(`${thrown?.stack} ${thrown?.hint}`, canary, what)
      const { status, body } = await ask(`${gateway.url}/v1/batches`, {
        key,
        headers: asBatch,
        bytes: envelope(somePart()),
      })
      t.notMatch(JSON.stringify(body), canary, what)
      t.equal(
        status >= 500,
        decide(error, { hasWorked: true }) !== 'stop' || error instanceof TypeError,
        what,
      )
      if (error instanceof HomeportError) {
        t.match(thrown, { code: error.code, message: error.message, hint: error.hint }, what)
      } else if ('severity' in error) t.equal(thrown?.code, (error as { code?: string }).code, what)
    }
    t.notMatch(gateway.logged(), canary, 'nor does the log')
    t.match(gateway.logged(), /40P01/)
  },
)
