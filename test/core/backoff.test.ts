import t from 'tap'
import { backoffMs, orAborted, sleep } from '../../core/backoff.ts'

t.test('grows to its limit and never spins', async (t) => {
  const wait = (attempt: number, random: number): number =>
    backoffMs({ attempt, baseMs: 100, maxMs: 1000, random: () => random })
  t.equal(wait(0, 1), 100)
  t.equal(wait(0, 0), 25)
  t.equal(wait(2, 1), 400)
  t.equal(wait(9, 1), 1000)
  t.equal(wait(100_000, 0), 250)
})

t.test('a wait ends with the reason of its signal', async (t) => {
  const stop = new AbortController()
  const waiting = sleep(60_000, stop.signal)
  stop.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  await t.rejects(sleep(0, stop.signal), { message: 'enough' })
  await t.resolves(sleep(0))
})

t.test('work that hangs is left behind when its signal aborts', async (t) => {
  const stop = new AbortController()
  const hanging = new Promise<never>(() => undefined)
  const waiting = orAborted(hanging, stop.signal)
  stop.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  await t.rejects(orAborted(Promise.resolve(1), stop.signal), { message: 'enough' })
  t.equal(await orAborted(Promise.resolve(1), new AbortController().signal), 1)
})
