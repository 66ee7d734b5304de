import t from 'tap'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { ops } from './support.ts'

t.test('keys are made, listed without their secret, and revoked', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const settings = { PRODUCTION_DATABASE_URL: url }
  t.match((await ops(settings, 'keys', 'list')).stdout, /There are no keys/)
  const made = await ops(settings, 'keys', 'create', '--client', 'home')
  t.equal(made.exitCode, 0)
  t.match(made.stdout, /^hp_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n$/, 'nothing else on stdout')
  t.match(made.stderr, /not shown again/)
  const [, id = '', ...rest] = made.stdout.trim().split('_')
  const secret = rest.join('_')
  const second = await ops(
    settings,
    'keys',
    'create',
    '--client',
    'dashboard',
    '--permissions',
    'relay:read',
    '--json',
  )
  t.match(JSON.parse(second.stdout), { client: 'dashboard', permissions: ['relay:read'], key: /^hp_/ })

  const listed = await ops(settings, 'keys', 'list')
  t.match(listed.stdout, new RegExp(`${id}.*home.*relay:read,relay:write.*works`))
  const asJson = await ops(settings, 'keys', 'list', '--json')
  const { keys } = JSON.parse(asJson.stdout) as { keys: object[] }
  t.same(
    keys.map((key) => Object.keys(key)),
    Array.from({ length: 2 }, () => ['id', 'client', 'permissions', 'createdAt', 'revokedAt']),
  )
  const [stored] = await queryRows<{ all: string; length: number }>(
    url,
    `select string_agg(k::text, ' ') as all, max(octet_length(key_hash)) as length from gateway_keys k`,
  )
  for (const text of [listed.stdout, asJson.stdout, stored?.all]) t.notMatch(text, secret)
  t.equal(stored?.length, 32)

  t.match(await ops(settings, 'keys', 'revoke', id), { exitCode: 0, stdout: /home stops working/ })
  t.match((await ops(settings, 'keys', 'list')).stdout, new RegExp(`${id}.*revoked`))
  t.match(await ops(settings, 'keys', 'revoke', id), { exitCode: 0 }, 'a second time is fine')
})

t.test('mistakes are named, and no key is repeated', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const settings = { PRODUCTION_DATABASE_URL: url }
  const whole = `hp_0123456789ab_${'s'.repeat(43)}`
  const cases: [argv: string[], exitCode: number, message: RegExp][] = [
    [['keys'], 2, /missing required argument/],
    [['keys', 'rotate'], 2, /rotate is not create, list or revoke/],
    [['keys', 'constructor'], 2, /is not create, list or revoke/],
    [['keys', 'create'], 2, /--client needs a name/],
    [['keys', 'create', '--client', `a\nb`], 2, /--client needs a name/],
    [['keys', 'create', '--client', 'x', '--permissions', 'relay:admin'], 2, /not a list of permissions/],
    [['keys', 'revoke'], 2, /needs the id/],
    [['keys', 'revoke', whole], 1, /no key with this id/],
  ]
  for (const [argv, exitCode, message] of cases) {
    const outcome = await ops(settings, ...argv)
    t.equal(outcome.exitCode, exitCode, argv.join(' '))
    t.match(outcome.stderr, message)
    t.notMatch(outcome.stderr, 'sss')
  }
  t.equal((await ops({ GATEWAY_DATABASE_URL: url }, 'keys', 'list')).exitCode, 0, 'the gateway has its own')
  t.match(await ops({}, 'keys', 'list'), { exitCode: 2, stderr: /PRODUCTION_DATABASE_URL is not set/ })
})
