import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { createDatabase } from '../../support/databases.ts'
import { ops } from './support.ts'

t.test('what is wrong with its settings is said before it listens', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const other = createServer()
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const taken = String((other.address() as AddressInfo).port)
  const short = 'a short secret'
  const cases: [settings: Record<string, string>, args: string[], exitCode: number, message: RegExp][] = [
    [{}, [], 2, /GATEWAY_DATABASE_URL is not set/],
    [{ GATEWAY_DATABASE_URL: url, GATEWAY_JWT_SECRET: short }, [], 2, /fewer than 32 characters/],
    [{ GATEWAY_DATABASE_URL: url, GATEWAY_PORT: 'x' }, [], 2, /GATEWAY_PORT is not a whole number/],
    [{ GATEWAY_DATABASE_URL: url }, ['--tls-cert', 'x'], 2, /go together/],
    [{ GATEWAY_DATABASE_URL: url }, ['--tls-cert', 'x', '--tls-key', 'y'], 2, /x cannot be read \(ENOENT\)/],
    [{ GATEWAY_DATABASE_URL: url, GATEWAY_PORT: taken }, [], 1, /is taken by another program/],
    [{ GATEWAY_DATABASE_URL: url, GATEWAY_HOST: '203.0.113.9' }, [], 1, /is no address of this machine/],
  ]
  for (const [settings, args, exitCode, message] of cases) {
    const outcome = await ops(settings, 'gateway', ...args)
    t.equal(outcome.exitCode, exitCode, message.source)
    t.match(outcome.stderr, message)
    t.notMatch(outcome.stderr, short)
    t.equal(outcome.stdout, '')
  }
})
