import { armFailpoints, type FailpointAction } from '../../core/failpoint.ts'

// The ops program as a test starts it: the same command line, and failpoints from the environment.
//
//   HOMEPORT_FAILPOINT="name:nth:kill|throw|wait[,...]"   e.g. relay.after-commit:3:kill
//
// The nth time (from 1) that the program comes by `name`, it kills itself with SIGKILL, throws an error that nobody
// knows, or waits for SIGUSR2. Each is announced on stderr first: `failpoint NAME ACTION`.

type Action = 'kill' | 'throw' | 'wait'

interface Armed {
  name: string
  nth: number
  action: Action
}

function parseFailpoints(text: string): Armed[] {
  return text
    .split(',')
    .filter((one) => one.trim() !== '')
    .map((one) => {
      const match = /^\s*([a-z][a-z.-]*):(\d+):(kill|throw|wait)\s*$/.exec(one)
      if (match?.[1] === undefined)
        throw new Error(`HOMEPORT_FAILPOINT: ${one} is not name:nth:kill|throw|wait`)
      return { name: match[1], nth: Number(match[2]), action: match[3] as Action }
    })
}

function actionOf(armed: readonly Armed[]): FailpointAction {
  const passed = new Map<string, number>()
  return async (name) => {
    const count = (passed.get(name) ?? 0) + 1
    passed.set(name, count)
    const due = armed.find((one) => one.name === name && one.nth === count)
    if (due === undefined) return
    process.stderr.write(`failpoint ${name} ${due.action}\n`)
    if (due.action === 'throw') throw new Error(`failpoint ${name}`)
    if (due.action === 'wait') return untilSignalled()
    process.kill(process.pid, 'SIGKILL')
    // The signal arrives in its own time; nothing further may happen until then.
    await new Promise(() => undefined)
  }
}

async function untilSignalled(): Promise<void> {
  // A pending promise alone would not keep the process alive.
  const alive = setInterval(() => undefined, 60_000)
  await new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()))
  clearInterval(alive)
}

const armed = parseFailpoints(process.env['HOMEPORT_FAILPOINT'] ?? '')
if (armed.length > 0) armFailpoints(actionOf(armed))
await import('../../ops/cli.ts')
