import t from 'tap'
import { createBatchRunner } from '../../../replication/gateway/batch-runner.ts'
import type { Applied } from '../../../replication/relay/cloud-link.ts'
import { someProgress } from './support.ts'

const applied: Applied = {
  kind: 'applied',
  isNew: true,
  progress: someProgress,
  rows: 1,
  resolved: 0,
  quarantined: 0,
}

/** Work that ends when it is told to. */
function work(): {
  run: () => Promise<Applied>
  end: () => void
  fail: (error: Error) => void
  runs: () => number
} {
  let runs = 0
  let end = (): void => undefined
  let fail: (error: Error) => void = () => undefined
  const outcome = new Promise<Applied>((resolve, reject) => {
    end = () => resolve(applied)
    fail = reject
  })
  outcome.catch(() => undefined)
  return {
    run: () => {
      runs += 1
      return outcome
    },
    end: () => end(),
    fail: (error) => fail(error),
    runs: () => runs,
  }
}

void t.test('what takes long is answered with working, and waited for again', async (t) => {
  const runner = createBatchRunner({ answerWithinMs: 10 })
  const slow = work()
  t.same(await runner.run('a', '1', slow.run), { kind: 'working', batch: '1' })
  t.same(await runner.run('a', '1', slow.run), { kind: 'working', batch: '1' }, 'the same once more joins it')
  t.equal(slow.runs(), 1)
  t.equal(runner.running, 1)
  await t.rejects(runner.run('a', '2', slow.run), { message: 'another batch is being applied' })
  t.same(
    await runner.run('b', '2', () => Promise.resolve(applied)),
    applied,
    'another slot is another matter',
  )
  t.equal(runner.wait('a', '2'), undefined)
  t.same(await runner.wait('a', '1'), { kind: 'working', batch: '1' })
  slow.end()
  t.same(await runner.wait('a', '1'), applied)
  t.same(await runner.wait('a', '1'), applied, 'also for who asks late')
  t.equal(runner.running, 0)
  await runner.idle()
})

void t.test('what is settled runs again when it is sent again', async (t) => {
  const runner = createBatchRunner({ answerWithinMs: 1_000, keepMs: 20 })
  const failing = work()
  const first = runner.run('a', '1', failing.run)
  failing.fail(new Error('deadlock'))
  await t.rejects(first, /deadlock/)
  t.same(await runner.run('a', '1', () => Promise.resolve(applied)), applied)
  while (runner.wait('a', '1') !== undefined) await new Promise((resolve) => setTimeout(resolve, 10))
  t.pass('and is forgotten')
})
