import { createTask, validateDetailed } from 'node-cron'
import { HomeportError } from '../../core/errors.ts'

/** When the next verification is due, in milliseconds since 1970. */
export interface Schedule {
  isDue(nowMs: number): boolean
  /** A run has begun: what was missed before it (while the machine slept) is caught up by it, once. */
  begun(nowMs: number): void
  /** A run failed: again after this time, if the schedule does not ask sooner. */
  retryAt(ms: number): void
  readonly nextMs: number
}

/** A schedule that is due at once, then whenever `nextAfter` says. */
function createSchedule(nextAfter: (nowMs: number) => number): Schedule {
  let nextMs = -Infinity
  let begunMs = -Infinity
  return {
    get nextMs() {
      return nextMs
    },
    // A clock that was set back would else ask for patience until it is as late again.
    isDue: (nowMs) => nowMs >= nextMs || nowMs < begunMs,
    begun: (nowMs) => {
      begunMs = nowMs
      nextMs = nextAfter(nowMs)
    },
    retryAt: (ms) => (nextMs = Math.min(nextMs, ms)),
  }
}

/**
 * At the times of a cron expression (five fields, or six with seconds first), in this machine's time zone.
 *
 * @throws HomeportError SCHEDULE_INVALID, exit 2.
 */
export function cronSchedule(expression: string): Schedule {
  const nextRun = cronTimes(expression)
  return createSchedule(() => nextRun())
}

/** Every so many seconds, from one start to the next. */
export function intervalSchedule(seconds: number): Schedule {
  return createSchedule((nowMs) => nowMs + seconds * 1000)
}

function cronTimes(expression: string): () => number {
  const hint = 'five fields: minute hour day month weekday, such as --verify-schedule "0 * * * *" for hourly'
  const invalid = (why: string): HomeportError =>
    new HomeportError('SCHEDULE_INVALID', `"${expression}" is not a cron expression: ${why}`, {
      hint,
      exitCode: 2,
    })
  const { valid, errors } = validateDetailed(expression)
  if (!valid) throw invalid(errors.map(({ message }) => message).join('; '))
  try {
    // It is never started: the loop of the monitor decides, and a task that only knows its times needs no timer.
    const task = createTask(expression, () => undefined)
    const times = (): number => task.getNextRuns(1)[0]?.getTime() ?? Infinity
    times()
    return times
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error))
  }
}
