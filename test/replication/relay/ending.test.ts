import { pino } from 'pino'
import t from 'tap'
import { Ending } from '../../../replication/relay/ending.ts'
import { inTime } from '../../../replication/relay/farewell.ts'

t.test('the end is begun once; what lasts longer is given up', async (t) => {
  const ending = new Ending(1)
  t.equal(ending.isReason(ending.stopping.reason), false)
  ending.stop()
  const { reason } = ending.stopping as { reason: unknown }
  ending.stop()
  t.equal(ending.stopping.reason, reason)
  t.equal(ending.isReason(reason), true)
  const alive = setInterval(() => undefined, 1_000)
  await new Promise((resolve) => ending.hard.addEventListener('abort', resolve))
  clearInterval(alive)
  t.equal(ending.isReason(ending.hard.reason), true)
  t.equal(ending.isReason(new Error('another')), false)
})

t.test('the first failure ends the others, which may finish', async (t) => {
  const ending = new Ending(1_000)
  const seen: string[] = []
  const failure = new Error('the first')
  await t.rejects(
    ending.together([
      ending.repeat(1, async () => void seen.push('turn')).then(() => void seen.push('ended')),
      Promise.reject(failure),
      new Promise<void>((_, reject) =>
        ending.stopping.addEventListener('abort', () => reject(ending.stopping.reason as Error)),
      ),
    ]),
    failure,
  )
  t.match(seen, ['turn', 'ended'])
  const calm = new Ending(1_000)
  const running = calm.together([calm.repeat(1, async () => undefined)])
  calm.stop()
  await t.resolves(running)
})

t.test('farewells that fail or hang hold nobody up', async (t) => {
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const alive = setInterval(() => undefined, 1_000)
  await inTime(
    log,
    {
      good: Promise.resolve(),
      none: undefined,
      bad: Promise.reject(new Error('x')),
      hanging: new Promise(() => undefined),
    },
    5,
  )
  clearInterval(alive)
  t.match(lines.sort(), [/"what":"bad".*in order/, /"what":"hanging".*in time/])
})
