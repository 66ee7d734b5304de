import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { errorCode, errorMessage, HomeportError, type ExitCode } from './errors.ts'
import { drawScreen } from './terminal-screen.ts'

/** What a command is handed: its words, its options, where to write, and when to stop. */
export interface Invocation<Options> {
  args: readonly string[]
  options: Options
  json: boolean
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP; another one, a second or more later, ends the process at once. */
  signal: AbortSignal
  out: Output
}

export interface Output {
  /** A result on stdout: `value` as one line of JSON with --json, else `text`. */
  result(value: unknown, text: string): void
  /** A result in place of the last one on a terminal; elsewhere, and with --json, after it. On stdout. */
  screen(value: unknown, text: string): void
  /** Progress and remarks, on stderr. */
  note(text: string): void
  /** A line that replaces the last one on a terminal, and is left out elsewhere. On stderr. */
  progress(text: string): void
}

export interface CommandSpec<Options = Record<string, never>> {
  name: string
  summary: string
  /** More paragraphs for --help: what it does, what it never does, the shape of --json. Lines end as {@link reflow} says. */
  details?: string
  examples: readonly (readonly [command: string, what: string])[]
  /** Adds arguments and options with commander's own calls; --json and --help are there already. */
  configure?(command: Command): void
  run(invocation: Invocation<Options>): Promise<ExitCode>
}

/** A command whose options' type is settled; {@link runProgram} takes any mixture of them. */
export interface AnyCommand {
  name: string
  install(program: Command, start: StartCommand): void
}
type StartCommand = (
  json: boolean,
  run: (base: Omit<Invocation<unknown>, 'options' | 'args'>) => Promise<ExitCode>,
) => Promise<void>

export interface ProgramOptions {
  name: string
  description: string
  commands: readonly AnyCommand[]
  /** Without the node and script words. */
  argv: readonly string[]
  stdout?: TerminalStream
  stderr?: TerminalStream
}

type TerminalStream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number }

/** Gives a command to {@link runProgram} without losing the type of its options. */
export function defineCommand<Options>(spec: CommandSpec<Options>): AnyCommand {
  return {
    name: spec.name,
    install(program, start) {
      const command = program.command(spec.name).summary(spec.summary)
      command.description(
        spec.details === undefined ? spec.summary : `${spec.summary}\n\n${reflow(spec.details)}`,
      )
      command.option('--json', 'print the result as one line of JSON on stdout')
      spec.configure?.(command)
      const examples = spec.examples.map(([line, what]) => `  $ ${program.name()} ${line}\n      ${what}`)
      command.addHelpText('after', `\nExamples:\n${examples.join('\n')}`)
      command.action(async () => {
        const { json, ...options } = command.opts<Options & { json?: boolean }>()
        await start(json === true, (base) =>
          spec.run({ ...base, args: command.args, options: options as unknown as Options }),
        )
      })
    },
  }
}

/**
 * Pure: text as lines that a terminal of any width breaks. A line of the source ends where it says so, by a full stop or a
 * colon, or before a line that is empty or indented; any other goes on in the next.
 */
export function reflow(text: string): string {
  return text.replace(/([^.:\n])\n(?=\S)/g, '$1 ')
}

/**
 * Runs one command of a program and returns its exit code: 0 fine, 1 failed, 2 usage or
 * configuration, 3 a check found something. Errors go to stderr as `Error: …` and `Try: …`, or as one
 * line `{"error":{code,message,hint}}` with --json. Never throws and never calls process.exit, except
 * at a second signal.
 */
export async function runProgram(options: ProgramOptions): Promise<ExitCode> {
  const stdout = options.stdout ?? process.stdout
  const stderr = options.stderr ?? process.stderr
  // A reader that has seen enough (| head) closes the pipe, and a terminal may be closed (EIO): the rest is
  // written nowhere. The listeners stay, because the error may arrive after the last write.
  const ignore = (codes: readonly string[]) => (error: Error) => {
    if (!codes.includes(errorCode(error) ?? '')) throw error
  }
  stdout.on('error', ignore(['EPIPE', 'EIO']))
  // A disk that is full under the remarks is no reason to fail; under the result it is.
  stderr.on('error', ignore(['EPIPE', 'EIO', 'ENOSPC']))
  const stop = listenForSignals()
  let exitCode: ExitCode = 0
  let complaint = ''
  const program = new Command(options.name)
    .description(options.description)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text) => (complaint = text),
    })
    .addHelpText(
      'after',
      '\nExit codes: 0 fine, 1 failed, 2 usage or configuration, 3 a check found something',
    )
  for (const command of options.commands) {
    command.install(program, async (json, run) => {
      exitCode = await run({ json, signal: stop.signal, out: createOutput(stdout, stderr, json) })
    })
  }
  for (const command of program.commands) command.copyInheritedSettings(program)
  try {
    if (options.argv.length === 0) throw usageError(options.name, 'a command is needed')
    await program.parseAsync(options.argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    const shown =
      error instanceof CommanderError
        ? usageError(commandLine(options), complaint === '' ? error.message : complaint)
        : explain(error, stop.signal)
    // What failed may have left a line of progress.
    if (stderr.isTTY === true) stderr.write(eraseLine)
    stderr.write(formatError(shown, options.argv.includes('--json')))
    return shown.exitCode
  } finally {
    stop.release()
  }
}

/**
 * Ends the process with this exit code as soon as nothing keeps it alive, and after `graceMs` whatever
 * does: a connection to a server that hangs is never closed by it. What is still to be written is.
 */
export function endProcess(exitCode: number, graceMs = 2000): void {
  process.exitCode = exitCode
  const end = (): void => {
    if (process.stdout.writableLength === 0) process.exit()
    setTimeout(end, 100).unref()
  }
  setTimeout(end, graceMs).unref()
}

/** Parses a whole number option in a range, for commander's `.option(flags, text, parser)`. */
export function wholeNumber(range: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^-?\d+$/.test(text) || value < range.min || value > range.max) {
      throw new InvalidArgumentError(`must be a whole number from ${range.min} to ${range.max}.`)
    }
    return value
  }
}

const eraseLine = '\r\u001b[2K'

function createOutput(stdout: TerminalStream, stderr: TerminalStream, json: boolean): Output {
  let open = false
  const endLine = (): string => {
    const end = open ? eraseLine : ''
    open = false
    return end
  }
  const result = (value: unknown, text: string): void => {
    stderr.write(endLine())
    stdout.write(`${json ? JSON.stringify(value) : text}\n`)
  }
  return {
    result,
    screen(value, text) {
      if (json || stdout.isTTY !== true) return result(value, text)
      stdout.write(drawScreen(text, { rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 }))
    },
    note(text) {
      stderr.write(`${endLine()}${text}\n`)
    },
    progress(text) {
      if (stderr.isTTY !== true) return
      // A line that is wider than the terminal wraps, and only its last row could be taken back.
      stderr.write(eraseLine + text.slice(0, Math.min(110, (stderr.columns ?? 80) - 1)))
      open = true
    },
  }
}

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
const sameSignalMs = 1_000

function listenForSignals(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController()
  let firstAt = 0
  const stop = (name: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      firstAt = performance.now()
      controller.abort(new HomeportError('INTERRUPTED', `stopped by ${name}`, { hint: 'run it again' }))
      return
    }
    // npm passes on the Ctrl-C that the terminal has given to all, and a closed terminal tells both the shell and us.
    if (performance.now() - firstAt < sameSignalMs) return
    process.exit(exitCodes[name as keyof typeof exitCodes])
  }
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[]
  for (const name of names) process.on(name, stop)
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.off(name, stop)
    },
  }
}

function commandLine(options: ProgramOptions): string {
  const known = options.commands.find((command) => options.argv.includes(command.name))
  return known === undefined ? options.name : `${options.name} ${known.name}`
}

function usageError(commandWords: string, complaint: string): HomeportError {
  const message = complaint.trim().replace(/^error: /, '')
  return new HomeportError('USAGE', message, { hint: `${commandWords} --help`, exitCode: 2 })
}

/** An error of a driver or of ours as something a person can read: never a stack, never a secret. */
function explain(error: unknown, signal: AbortSignal): HomeportError {
  if (error instanceof HomeportError) return error
  if (signal.aborted && signal.reason instanceof HomeportError) return signal.reason
  return new HomeportError(errorCode(error) ?? 'UNEXPECTED', errorMessage(error), { cause: error })
}

function formatError(error: HomeportError, json: boolean): string {
  const message = errorMessage(error)
  if (json) {
    return `${JSON.stringify({ error: { code: error.code, message, hint: error.hint ?? null } })}\n`
  }
  return `Error: ${message}\n${error.hint === undefined ? '' : `Try: ${error.hint}\n`}`
}
