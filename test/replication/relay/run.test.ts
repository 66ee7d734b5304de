import t from 'tap'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { compareRows, passFence } from '../../support/oracles/equality.ts'
import { insertTalk } from '../support.ts'

t.test('what is written at home comes to the cloud, and SIGTERM ends it in order', async (t) => {
  const pair = await createRelayPair(t)
  const relay = startRelay(t, pair)
  for (let id = 1; id <= 20; id += 1) await insertTalk(pair.primary, { id })
  await passFence(pair.primary, pair.cloud)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
  t.match(await relay.terminate(), { code: 0 })
  t.comment(relay.stderr)
})
