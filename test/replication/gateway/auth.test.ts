import { createHmac } from 'node:crypto'
import { SignJWT } from 'jose'
import t from 'tap'
import { connect } from '../../../core/db.ts'
import { makeKey } from '../../../replication/gateway/keys.ts'
import { revokeKey } from '../../../replication/gateway/manage-keys.ts'
import { gatewayPaths } from '../../../replication/gateway/protocol.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { until } from '../../support/api.ts'
import { ask, sendRaw, startTestGateway, testKey, tokenSecret } from './support.ts'

void t.test('who is let in', async (t) => {
  const databaseUrl = await createDatabase(t, 'cloud')
  const both = await testKey(databaseUrl)
  const reader = await testKey(databaseUrl, ['relay:read'])
  const writer = await testKey(databaseUrl, ['relay:write'])
  const gateway = await startTestGateway(t, { databaseUrl, cloud: { renew: () => Promise.resolve() } })
  const progress = `${gateway.url}${gatewayPaths.progress}?slot=homeport`
  const renewal = `${gateway.url}${gatewayPaths.renewal}`
  const lease = { lease: { slot: 'homeport', epoch: '1', holder: 'a' } }
  const token = async (key: string, json: unknown = {}): Promise<string> =>
    String((await ask(`${gateway.url}${gatewayPaths.token}`, { key, json })).body['token'])

  await t.test('a key, by either header, and a token', async (t) => {
    t.equal((await ask(progress, { key: both.key })).status, 200)
    t.equal((await ask(progress, { headers: { 'x-api-key': both.key } })).status, 200)
    t.equal((await ask(progress, { headers: { authorization: `bearer ${both.key}` } })).status, 200)
    t.equal((await ask(progress, { key: await token(both.key) })).status, 200)
    t.equal((await ask(renewal, { key: both.key, json: lease })).status, 204)
  })

  await t.test('nobody else, and all refusals look the same', async (t) => {
    const stranger = makeKey().text
    const secret = both.key.slice(16)
    const upper = `hp_${both.id}_${secret.toUpperCase()}`
    const lastSwapped = both.key.slice(0, -1) + (both.key.endsWith('A') ? 'B' : 'A')
    const sign = (claims: Record<string, unknown>, key = tokenSecret, alg = 'HS256') =>
      new SignJWT({ client: 'home', permissions: ['relay:read'], ...claims })
        .setProtectedHeader({ alg })
        .sign(new TextEncoder().encode(key.padEnd(64, '.').slice(0, alg === 'HS256' ? key.length : 64)))
    const seconds = Math.floor(Date.now() / 1000)
    const claims = {
      sub: both.id,
      iss: 'homeport-gateway',
      aud: 'homeport-gateway',
      iat: seconds,
      exp: seconds + 60,
    }
    t.equal(
      (await ask(progress, { key: await sign(claims) })).status,
      200,
      'the claims below are good in themselves',
    )
    const unsigned = [{ alg: 'none' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    const crit = `${Buffer.from(JSON.stringify({ alg: 'HS256', crit: ['x'], x: 1 })).toString('base64url')}.${unsigned.split('.')[1]}`
    const refused: [what: string, headers: Record<string, string>][] = [
      ['nothing', {}],
      ['an empty key', { 'x-api-key': '' }],
      ['an empty bearer', { authorization: 'Bearer ' }],
      ['basic', { authorization: `Basic ${Buffer.from(both.key).toString('base64')}` }],
      ['no scheme', { authorization: both.key }],
      ['two credentials', { authorization: `Bearer ${both.key}`, 'x-api-key': both.key }],
      ['two in one', { authorization: `Bearer ${both.key} ${both.key}` }],
      ['a stranger', { authorization: `Bearer ${stranger}` }],
      ['the prefix', { authorization: `Bearer ${both.key.slice(0, -1)}` }],
      ['the prefix only', { authorization: 'Bearer hp_' }],
      ['more', { authorization: `Bearer ${both.key}A` }],
      ['another case', { authorization: `Bearer ${upper}` }],
      ['another case of the id', { authorization: `Bearer ${both.key.replace('hp_', 'HP_')}` }],
      ['one letter', { authorization: `Bearer ${lastSwapped}` }],
      ['the id alone', { authorization: `Bearer hp_${both.id}_` }],
      ["another key's id", { authorization: `Bearer hp_${reader.id}_${secret}` }],
      ['bytes above 127', { authorization: `Bearer hp_${both.id}_${'é'.repeat(43)}` }],
      ['a huge token', { authorization: `Bearer ${'a'.repeat(5_000)}` }],
      [
        'a token of another secret',
        { authorization: `Bearer ${await sign(claims, 'another secret that is just as long')}` },
      ],
      [
        'a token of another algorithm',
        { authorization: `Bearer ${await sign(claims, tokenSecret, 'HS512')}` },
      ],
      ['a token of no algorithm', { authorization: `Bearer ${unsigned}.` }],
      ['a token with an unknown crit', { authorization: `Bearer ${crit}.${hmac(crit)}` }],
      [
        'an expired token',
        { authorization: `Bearer ${await sign({ ...claims, iat: seconds - 90, exp: seconds - 30 })}` },
      ],
      ['a token without an end', { authorization: `Bearer ${await sign({ ...claims, exp: undefined })}` }],
      [
        'a token that lives too long',
        { authorization: `Bearer ${await sign({ ...claims, iat: seconds - 90_000 })}` },
      ],
      [
        'a token from the future',
        { authorization: `Bearer ${await sign({ ...claims, iat: seconds + 600, exp: seconds + 700 })}` },
      ],
      ['a token for others', { authorization: `Bearer ${await sign({ ...claims, aud: 'someone' })}` }],
      ['a token by others', { authorization: `Bearer ${await sign({ ...claims, iss: 'someone' })}` }],
      ['a token without a key', { authorization: `Bearer ${await sign({ ...claims, sub: undefined })}` }],
      [
        'a token of an unknown key',
        { authorization: `Bearer ${await sign({ ...claims, sub: '000000000000' })}` },
      ],
      [
        "a token under another client's name",
        { authorization: `Bearer ${await sign({ ...claims, client: 'x' })}` },
      ],
    ]
    for (const [what, headers] of refused) {
      const answer = await ask(progress, { headers: headers }).catch(() => null)
      // Some clients do not even send bytes that are none.
      if (answer === null && what.includes('127')) continue
      t.equal(answer?.status, 401, what)
      t.match(answer?.headers.get('content-type'), 'application/problem+json', what)
      t.equal(answer?.headers.get('www-authenticate'), 'Bearer', what)
      t.same(
        answer?.body,
        {
          type: 'about:blank',
          title: 'Unauthorized',
          status: 401,
          code: 'UNAUTHORIZED',
          detail: 'a valid key is needed',
        },
        what,
      )
    }
    t.equal(
      (await ask(`${progress}&access_token=${both.key}&key=${both.key}`)).status,
      401,
      'not in the address',
    )
    const twice = `GET ${gatewayPaths.progress}?slot=homeport HTTP/1.1\r\nhost: x\r\nconnection: close\r\n`
    const header = `authorization: Bearer ${both.key}\r\n`
    t.match(await sendRaw(gateway.url, `${twice}${header}\r\n`), /^HTTP\/1.1 200/)
    t.match(await sendRaw(gateway.url, `${twice}${header}${header}\r\n`), /^HTTP\/1.1 401/, 'twice')
    t.match(
      await sendRaw(gateway.url, `${twice}x-api-key: ${both.key}\r\nx-api-key: ${both.key}\r\n\r\n`),
      /^HTTP\/1.1 401/,
    )
    t.match(
      await sendRaw(gateway.url, `${twice}authorization: Bearer ${both.key}\xff\r\n\r\n`),
      /^HTTP\/1.1 401/,
    )
    t.match(
      await sendRaw(gateway.url, `${twice}authorization: Bearer ${'x'.repeat(100_000)}\r\n\r\n`),
      /^HTTP\/1.1 431/,
      'headers have an end',
    )
  })

  await t.test('a permission that is not there', async (t) => {
    const cases: [url: string, key: string, options: { json?: unknown }][] = [
      [progress, writer.key, {}],
      [renewal, reader.key, { json: lease }],
      [`${gateway.url}/metrics`, writer.key, {}],
      [progress, await token(both.key, { permissions: ['relay:write'] }), {}],
    ]
    for (const [url, key, options] of cases) {
      const { status, body } = await ask(url, { key, ...options })
      t.equal(status, 403)
      t.match(body, { code: 'FORBIDDEN', status: 403 })
    }
    const wide = await ask(`${gateway.url}${gatewayPaths.token}`, {
      key: reader.key,
      json: { permissions: ['relay:write'] },
    })
    t.match(wide, { status: 403, body: { code: 'FORBIDDEN' } }, 'no token that can do more')
    const again = await ask(`${gateway.url}${gatewayPaths.token}`, { key: await token(both.key), json: {} })
    t.equal(again.status, 403, 'no token from a token')
  })

  await t.test('an address that is not there is for strangers like any other', async (t) => {
    t.equal((await ask(`${gateway.url}/v1/nothing`)).status, 401)
    t.equal((await ask(`${gateway.url}/v1/nothing`, { key: both.key })).status, 404)
    t.match(await ask(`${gateway.url}/%zz`, { key: both.key }), {
      status: 400,
      body: { code: 'URL_INVALID' },
    })
  })

  await t.test('a token lives as long as its key, and its words are in it', async (t) => {
    const brief = await testKey(databaseUrl)
    const jwt = await token(brief.key)
    t.match(JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()), {
      client: 'home',
      permissions: ['relay:read', 'relay:write'],
    })
    t.equal((await ask(progress, { key: jwt })).status, 200)
    const db = await connect({ connectionString: databaseUrl, applicationName: 'homeport test' })
    await revokeKey(db, brief.id)
    await db.end()
    await until(
      () => ask(progress, { key: brief.key }),
      ({ status }) => status === 401,
      30_000,
    )
    t.equal((await ask(progress, { key: jwt })).status, 401)
  })

  await t.test('nothing of it is in the log, nor in the database', async (t) => {
    const logged = gateway.logged()
    t.match(logged, /"refused"/)
    for (const { key } of [both, reader, writer]) t.notMatch(logged, key.slice(16), 'no secret')
    t.notMatch(logged, /eyJ/, 'no token')
    const [stored] = await queryRows<{ text: string }>(
      databaseUrl,
      `select string_agg(k::text, ' ') as text from gateway_keys k`,
    )
    t.notMatch(stored?.text, both.key.slice(16))
  })
})

void t.test('failures are limited, and a valid key is not kept out by them', async (t) => {
  const databaseUrl = await createDatabase(t, 'cloud')
  const { key } = await testKey(databaseUrl)
  const gateway = await startTestGateway(t, { databaseUrl, limits: { failuresPerMinute: 3 } })
  const url = `${gateway.url}${gatewayPaths.progress}?slot=homeport`
  const headers = { 'x-forwarded-for': '203.0.113.1' }
  for (let count = 0; count < 3; count++) t.equal((await ask(url)).status, 401)
  const limited = await ask(url, { headers })
  t.match(limited, { status: 429, body: { code: 'RATE_LIMITED' } }, 'whatever address it claims')
  t.ok(Number(limited.headers.get('retry-after')) > 0)
  t.equal((await ask(`${gateway.url}/nothing`)).status, 429, 'wherever it knocks')
  t.equal((await ask(url, { key })).status, 200)
})

function hmac(text: string): string {
  return createHmac('sha256', tokenSecret).update(text).digest('base64url')
}
