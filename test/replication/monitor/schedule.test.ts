import t from 'tap'
import { cronSchedule, intervalSchedule } from '../../../replication/monitor/schedule.ts'

t.test('at the times of a cron expression; what was missed is caught up once', async (t) => {
  const schedule = cronSchedule('0 * * * *')
  const now = Date.now()
  t.ok(schedule.isDue(now), 'the first at once')
  schedule.begun(now)
  t.notOk(schedule.isDue(now))
  t.ok(schedule.nextMs > now && schedule.nextMs <= now + 3_600_000)
  t.equal(new Date(schedule.nextMs).getMinutes(), 0)
  const awake = schedule.nextMs + 5 * 3_600_000
  t.ok(schedule.isDue(awake), 'after a night five hours long it is due')
  schedule.begun(Date.now())
  t.notOk(schedule.isDue(Date.now()), 'once, not five times')
})

t.test('every so many seconds, and again soon after one that failed', async (t) => {
  const schedule = intervalSchedule(300)
  t.ok(schedule.isDue(0))
  schedule.begun(1000)
  t.equal(schedule.nextMs, 301_000)
  schedule.retryAt(61_000)
  t.ok(schedule.isDue(61_000))
  schedule.begun(61_000)
  schedule.retryAt(9_999_000)
  t.equal(schedule.nextMs, 361_000, 'the schedule asks sooner')
})

t.test('a clock that was set back does not stop it', async (t) => {
  for (const schedule of [intervalSchedule(300), cronSchedule('0 * * * *')]) {
    const ahead = Date.now() + 86_400_000
    schedule.begun(ahead)
    const now = Date.now()
    t.ok(schedule.isDue(now), 'it is due at once, by the time that it is')
    schedule.begun(now)
    t.notOk(schedule.isDue(now))
    t.ok(schedule.nextMs <= now + 3_600_000)
  }
})

t.test('what is no cron expression is refused with a hint', async (t) => {
  for (const expression of ['', 'x', '61 * * * *', '* * *', '0 0 31 2 *', '@sometimes']) {
    const refused = { code: 'SCHEDULE_INVALID', exitCode: 2, hint: /five fields/ }
    t.throws(() => cronSchedule(expression), refused, expression)
  }
  t.doesNotThrow(() => cronSchedule('30 3 * * 1-5'))
  t.doesNotThrow(() => cronSchedule('*/10 * * * * *'), 'six fields begin with seconds')
})
