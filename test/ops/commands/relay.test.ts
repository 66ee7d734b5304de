import { createServer } from 'node:net'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import t from 'tap'
import { openReplicationStream } from '../../../replication/relay/stream/replication-stream.ts'
import { temporaryFolder } from '../../support/api.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { createRelayPair, runOps, startRelay } from '../../support/relay-pair.ts'
import { insertTalk, withRole } from '../../replication/support.ts'
import { ops, opsProcess } from './support.ts'

const somewhere = 'postgres://someone:hunter2secret@127.0.0.1:1/nothing'

t.test('settings and options that are missing or wrong', async (t) => {
  const complete = { REPLICATION_DATABASE_URL: somewhere, RELAY_DATABASE_URL: somewhere }
  const cases: [Record<string, string>, string[], string, RegExp][] = [
    [{}, [], 'CONFIG_MISSING', /neither RELAY_DATABASE_URL nor PRODUCTION_API_URL/],
    [{ RELAY_DATABASE_URL: somewhere }, [], 'CONFIG_MISSING', /REPLICATION_DATABASE_URL is not set/],
    [
      { REPLICATION_DATABASE_URL: somewhere },
      ['--transport', 'direct'],
      'CONFIG_MISSING',
      /RELAY_DATABASE_URL is not set/,
    ],
    [complete, ['--transport', 'gateway'], 'CONFIG_MISSING', /PRODUCTION_API_URL is not set/],
    [
      { REPLICATION_DATABASE_URL: somewhere, PRODUCTION_API_URL: 'https://gateway.example' },
      [],
      'CONFIG_MISSING',
      /PRODUCTION_API_KEY is not set/,
    ],
    [
      {
        REPLICATION_DATABASE_URL: somewhere,
        PRODUCTION_API_URL: 'http://gateway.example',
        PRODUCTION_API_KEY: 'k',
      },
      [],
      'CONFIG_INVALID',
      /PRODUCTION_API_URL is plain http/,
    ],
    [
      { ...complete, RELAY_DATABASE_URL: 'mysql://x' },
      [],
      'CONFIG_INVALID',
      /RELAY_DATABASE_URL is not a URL/,
    ],
    [{ ...complete, RELAY_PORT: '70000' }, [], 'CONFIG_INVALID', /RELAY_PORT is not a whole number/],
    [{ ...complete, RELAY_WAL_SHARE: '0' }, [], 'CONFIG_INVALID', /RELAY_WAL_SHARE/],
    [{ ...complete, RELAY_BATCH_SEGMENTS: 'many' }, [], 'CONFIG_INVALID', /RELAY_BATCH_SEGMENTS/],
    [complete, ['--transport', 'pigeon'], 'USAGE', /--transport is pigeon/],
    [complete, ['--lease-seconds', '1'], 'commander', /whole number from 3/],
    [{ ...complete, RELAY_STATE_PATH: '/dev/null/relay' }, [], 'STATE_FOLDER_DENIED', /\/dev\/null\/relay/],
  ]
  for (const [settings, words, code, message] of cases) {
    const what = `${Object.keys(settings).join(' ')} ${words.join(' ')}`
    const defaults = {
      RELAY_STATE_PATH: join(temporaryFolder(t), 'relay'),
      RELAY_PORT: '0',
      LOG_LEVEL: 'silent',
    }
    const outcome = await ops({ ...defaults, ...settings }, 'relay', ...words, '--json')
    t.equal(outcome.exitCode, 2, what)
    const { error } = JSON.parse(outcome.stderr) as { error: { code: string; message: string; hint: string } }
    if (code !== 'commander') t.equal(error.code, code, what)
    t.match(error.message, message, what)
    t.type(error.hint, 'string', what)
    t.notMatch(outcome.stderr, 'hunter2secret', what)
  }
})

t.test('help says what it does, the exit codes, and gives examples', async (t) => {
  const help = await ops({}, 'relay', '--help')
  t.match(help, { exitCode: 0, stdout: /Examples:\n +\$ ops relay\n/ })
  for (const word of ['--until-caught-up', '--quarantine', '--transport', '--json', 'SIGTERM'])
    t.match(help.stdout, word)
})

t.test('a relay as a person runs it', async (t) => {
  const pair = await createRelayPair(t)
  for (let id = 1; id <= 5; id += 1) await insertTalk(pair.primary, { id })

  await t.test('--until-caught-up pushes what there is and ends', async (t) => {
    const stdout = await runOps({ args: ['relay', '--until-caught-up', '--json'], settings: pair.settings })
    t.match(JSON.parse(stdout), {
      reason: 'caughtUp',
      slot: pair.slot,
      transport: 'direct',
      resolved: 0,
      quarantined: 0,
      spooled: 0,
    })
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    const again = await opsProcess({ ...pair.settings, LOG_LEVEL: 'silent' }, 'relay', '--until-caught-up')
    t.match(again, { exitCode: 0, stdout: /^The cloud has caught up: 0 rows in \d+ batches/, stderr: '' })
  })

  await t.test('what it leaves: a status file and a memory, readable for nobody else', async (t) => {
    const status = JSON.parse(readFileSync(join(pair.stateFolder, 'status.json'), 'utf8')) as object
    t.match(status, { state: 'stopped', lastError: null, spool: { batches: 0 }, slot: { name: pair.slot } })
    const memory = JSON.parse(readFileSync(join(pair.stateFolder, 'memory.json'), 'utf8')) as object
    t.match(memory, { slot: pair.slot, cloudLsn: /^[0-9A-F]+\/[0-9A-F]+$/ })
    t.ok(readdirSync(pair.stateFolder).length > 2)
    const { rows } = await pair.cloud.query('select state, stop_code from relay_progress')
    t.strictSame(rows, [{ state: 'stopped', stop_code: null }], 'it gave the lease back')
  })

  await t.test('health and metrics while it runs', async (t) => {
    const relay = startRelay(t, pair)
    await relay.said(/"state":"following"/)
    const url = /"url":"(http:[^"]+)"/.exec(relay.stderr)?.[1] ?? ''
    const health = (await (await fetch(`${url}/health`)).json()) as object
    t.match(health, { status: 'ok', state: 'following', transport: 'direct', slot: { name: pair.slot } })
    await insertTalk(pair.primary, { id: 100 })
    let text = ''
    while (!/homeport_relay_rows_total\{table="segments",operation="insert"\} 1/.test(text)) {
      text = await (await fetch(`${url}/metrics`)).text()
    }
    t.match(text, /homeport_relay_batches_total\{transport="direct"\} [1-9]/)
    t.match(text, /homeport_relay_bytes_sent_total\{transport="direct"\} [1-9]/)
    t.match(await relay.terminate(), { code: 0 })
  })

  await t.test('a password that is wrong is a mistake in its setting, at once', async (t) => {
    const wrong = {
      RELAY_DATABASE_URL: withRole(pair.cloudUrl, 'nobody', 'hunter2secret'),
      REPLICATION_DATABASE_URL: withRole(pair.primaryUrl, 'nobody', 'hunter2secret'),
    }
    for (const [setting, url] of Object.entries(wrong)) {
      const relay = startRelay(t, pair, { settings: { [setting]: url }, args: ['--json'] })
      t.equal(await relay.ends(), 2)
      t.match(
        relay.stderr,
        new RegExp(`"code":"DATABASE_UNREACHABLE","message":"${setting}: .*password is wrong`),
      )
      t.notMatch(relay.stderr, 'hunter2secret')
    }
  })

  await t.test('a port that is taken', async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const relay = startRelay(t, pair, { settings: { RELAY_PORT: String(port) }, args: ['--json'] })
    t.equal(await relay.ends(), 1)
    t.match(relay.stderr, /"code":"LISTEN_FAILED"/)
  })

  await t.test('a slot that somebody else reads', async (t) => {
    const reader = await openReplicationStream({
      connectionString: pair.primaryUrl,
      slot: pair.slot,
      publication: 'homeport',
      startLsn: '0/0',
      spillFolder: join(temporaryFolder(t), 'spill'),
      signal: new AbortController().signal,
      log: pino({ level: 'silent' }),
    })
    const relay = startRelay(t, pair, { args: ['--json'] })
    t.equal(await relay.ends(), 1)
    t.match(relay.stderr, /"code":"SLOT_HELD".*is being read by .*homeport relay.* as postgres/)
    await reader.close()
  })

  await t.test('a memory that a crash cut off', async (t) => {
    const folder = join(temporaryFolder(t), 'relay')
    await runOps({
      args: ['relay', '--until-caught-up'],
      settings: { ...pair.settings, RELAY_STATE_PATH: folder },
    })
    writeFileSync(join(folder, 'memory.json'), 'cut off')
    const relay = startRelay(t, pair, { settings: { RELAY_STATE_PATH: folder }, args: ['--until-caught-up'] })
    t.equal(await relay.ends(), 0, 'a memory that is damaged is none')
  })
})
