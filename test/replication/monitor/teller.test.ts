import t, { type Test } from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import type { Notice, Way } from '../../../replication/monitor/delivery/notice.ts'
import { Outbox } from '../../../replication/monitor/delivery/outbox.ts'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import { Teller, type MonitorEvent } from '../../../replication/monitor/teller.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { driftAlert } from './sample-data.ts'

interface Told {
  teller: Teller
  events: string[]
}

/** A teller on a folder, as a monitor has it. */
async function open(t: Test, folder: string, ways: Way[]): Promise<Told> {
  const events: string[] = []
  const onEvent = ({ event, message }: MonitorEvent): unknown => events.push(`${event}: ${message}`)
  const history = await MonitorHistory.open({ folder })
  const teller = new Teller({ history, outbox: await Outbox.open(folder), ways, onEvent })
  t.teardown(() => teller.close())
  await teller.restore()
  return { teller, events }
}

const at = (second: number): string =>
  new Date(Date.parse('2026-01-02T03:04:00Z') + second * 1000).toISOString()
const drift = { ...driftAlert(new Date(at(0))), table: 'segments' }
const seen = { source: 'content', findings: [drift] } as const

const down: Way = { name: 'webhook', deliver: () => Promise.reject(new Error('it answers HTTP 503')) }
const up = (arrived: Notice[]): Way => ({
  name: 'webhook',
  deliver: async (notice) => void arrived.push(notice),
})

t.test('killed between what waits on disk and the history, nothing is told twice or lost', async (t) => {
  const folder = temporaryFolder(t)
  const raised: Notice = { kind: 'raised', alert: { ...drift, id: 'content/DRIFT/cloud/segments' } }
  // As left by one that was killed right after the first of the two.
  await (await Outbox.open(folder)).keep('webhook', [raised])
  const arrived: Notice[] = []
  const first = await open(t, folder, [up(arrived)])
  await first.teller.apply([seen], at(10))
  await until(async () => arrived.length > 0, Boolean)
  await first.teller.apply([seen], at(20))
  t.strictSame(first.events, [], 'it was decided before')
  t.match(
    await (await MonitorHistory.open({ folder })).openAlerts(),
    [{ since: drift.since }],
    'now it is known',
  )

  const over: Notice = { kind: 'over', alert: { ...raised.alert, until: at(30) } }
  await first.teller.close()
  await (await Outbox.open(folder)).keep('webhook', [over])
  const second = await open(t, folder, [up(arrived)])
  t.strictSame(second.teller.raised, [])
  await until(async () => arrived.length > 1, Boolean)
  t.strictSame(
    arrived.map(({ kind }) => kind),
    ['raised', 'over'],
  )
  t.strictSame(await (await MonitorHistory.open({ folder })).openAlerts(), [])
})

t.test('a way that failed is not said to work because of a restart', async (t) => {
  const folder = temporaryFolder(t)
  const first = await open(t, folder, [down])
  await first.teller.apply([seen], at(0))
  await until(async () => {
    await first.teller.apply([], at(1))
    return first.events.some((event) => /problem: alerts do not arrive/.test(event))
  }, Boolean)
  await first.teller.close()

  const second = await open(t, folder, [down])
  for (let look = 2; look < 6; look += 1) await second.teller.apply([], at(look))
  t.notOk(second.events.some((event) => event.startsWith('solved')))
  await second.teller.close()

  const arrived: Notice[] = []
  const third = await open(t, folder, [up(arrived)])
  await until(async () => arrived.length > 0, Boolean)
  await delay(10)
  await third.teller.apply([], at(9))
  t.match(third.events, [/^solved: alerts do not arrive by the webhook/])
})

t.test('a disk that takes one line and refuses the next is told once', async (t) => {
  let isFull = false
  const refuse = async (): Promise<void> => {
    isFull = !isFull
    if (isFull) throw new Error('that disk is full')
  }
  const events: string[] = []
  const teller = new Teller({
    history: { addSample: refuse, addAlert: refuse, openAlerts: async () => [], prune: async () => 0 },
    onEvent: ({ event, message }) => events.push(`${event}: ${message}`),
  })
  for (let look = 0; look < 40; look += 1) {
    await teller.keep({} as never)
    await teller.apply([], at(look))
  }
  t.match(events, [/^problem: the history of the monitor cannot be written: that disk is full/])
})

t.test('an outbox that is damaged is said', async (t) => {
  const events: string[] = []
  const outbox = { waiting: () => [], keep: async () => undefined, trouble: 'it is damaged' }
  const teller = new Teller({ outbox, onEvent: ({ message }) => events.push(message) })
  await teller.restore()
  t.match(events, [/had not been delivered cannot be read: it is damaged/])
})

t.test('what waited for a way that is not set any more is given up, and said', async (t) => {
  const folder = temporaryFolder(t)
  await (await Outbox.open(folder)).keep('command', [{ kind: 'raised', alert: drift }])
  const { events } = await open(t, folder, [up([])])
  t.match(events, [/^undelivered: command: it is not set any more, and 1 of its alerts/])
  t.strictSame((await Outbox.open(folder)).waiting('command'), [])
})
