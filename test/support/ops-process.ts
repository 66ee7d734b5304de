import { fork, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const repository = fileURLToPath(new URL('../..', import.meta.url))

export interface OpsProcessOptions {
  /** The words after `ops`. */
  args: readonly string[]
  /** The child's whole environment, besides PATH and HOME. */
  settings: Readonly<Record<string, string>>
  /** `name:nth:kill|throw|wait`, comma separated */
  failpoint?: string
  /** for node itself, such as --max-old-space-size */
  nodeOptions?: readonly string[]
  /** Where stderr goes instead of being collected: a file descriptor. */
  stderr?: number
}

/** An `ops` command in a process of its own: the real program, with failpoints. */
export class OpsProcess {
  stdout = ''
  stderr = ''
  /** the largest resident size seen so far */
  rssPeakMb = 0
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #child: ChildProcess
  readonly #args: readonly string[]

  constructor(options: OpsProcessOptions) {
    this.#args = options.args
    this.#child = fork('test/support/relay-entry.ts', [...options.args], {
      execArgv: [
        ...(options.nodeOptions ?? []),
        '--import',
        import.meta.resolve('tsx'),
        '--import',
        new URL('../../ops/local/exit-with-parent.ts', import.meta.url).href,
      ],
      cwd: repository,
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'info',
        ...options.settings,
        ...(options.failpoint === undefined ? {} : { HOMEPORT_FAILPOINT: options.failpoint }),
      },
      stdio: ['ignore', 'pipe', options.stderr ?? 'pipe', 'ipc'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    const watch = setInterval(() => this.#readPeak(), 50)
    this.exited = new Promise((resolve) => {
      // Not `exit`: what it said last may still be on its way.
      this.#child.once('close', (code, signal) => {
        clearInterval(watch)
        resolve({ code, signal })
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** kill -9, and wait until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** SIGTERM, and how it ended. */
  async terminate(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.#child.kill('SIGTERM')
    return this.exited
  }

  /** Waits for a line on stderr. @throws when the process ends without it, or after `limitMs`. */
  async said(wanted: RegExp, limitMs = 60_000): Promise<void> {
    await this.#until(() => wanted.test(this.stderr), `say ${wanted.source}`, limitMs)
  }

  /** Waits for something on stdout; what matched. */
  async answered(wanted: RegExp, limitMs = 60_000): Promise<RegExpExecArray> {
    await this.#until(() => wanted.test(this.stdout), `answer ${wanted.source}`, limitMs)
    return wanted.exec(this.stdout) as RegExpExecArray
  }

  /** Its exit code; the test fails with what it said when it ended by a signal or not in time. */
  async ends(limitMs = 60_000): Promise<number> {
    const outcome = await Promise.race([this.exited, sleep(limitMs, undefined, { ref: false })])
    if (outcome?.code === undefined || outcome.code === null) {
      await this.kill()
      throw new Error(`ops ${this.#args.join(' ')} did not end by itself:\n${this.stderr.slice(-4_000)}`)
    }
    return outcome.code
  }

  async #until(done: () => boolean, what: string, limitMs: number): Promise<void> {
    const end = Date.now() + limitMs
    while (!done()) {
      if (this.hasEnded) await this.exited
      if (done()) return
      if (this.hasEnded || Date.now() > end) {
        throw new Error(`ops ${this.#args.join(' ')} did not ${what}:\n${this.stderr.slice(-4_000)}`)
      }
      await sleep(20)
    }
  }

  // The high-water mark only grows, so the last reading before the end is the peak.
  #readPeak(): void {
    try {
      const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
      if (found !== null) this.rssPeakMb = Number(found[1]) / 1024
    } catch {
      // It is gone, or this is no Linux.
    }
  }
}

/** Starts an `ops` command that is killed at the end of the test; when that failed, it says what the command said. */
export function startOps(
  t: Pick<Test, 'teardown' | 'passing' | 'comment'>,
  options: OpsProcessOptions,
): OpsProcess {
  const started = new OpsProcess(options)
  t.teardown(async () => {
    await started.kill()
    if (!t.passing()) t.comment(`ops ${options.args.join(' ')} said last:\n${started.stderr.slice(-3_000)}`)
  })
  return started
}
