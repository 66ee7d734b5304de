import { Option } from 'commander'
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineCommand, runProgram, type Invocation, type Output } from '../../core/cli.ts'
import { npmRun } from '../../core/config.ts'
import { errorMessage, HomeportError, type ExitCode } from '../../core/errors.ts'
import { runMonitor } from '../../replication/monitor/run.ts'
import { resolveDataFolder, shortHash } from './data-folder.ts'
import { withFileLock } from './file-lock.ts'
import { replicationModes, type ReplicationMode } from './following.ts'
import { findPostgres } from './find-postgres.ts'
import { bringUp, demonstrate, type OnceReport } from './once.ts'
import { Stack } from './stack.ts'
import { watchStarter } from './watch-starter.ts'

interface StartOptions {
  once?: boolean
  mode: ReplicationMode
  corpus?: string
  query?: string
  data?: string
}

const repository = fileURLToPath(new URL('../..', import.meta.url))
const sample = join(repository, 'sample/talks')
const sampleQuestion = 'why does an idle replication slot fill the disk'

const startCommand = defineCommand<StartOptions>({
  name: 'start',
  summary:
    'the whole product on this machine: two Postgres servers, replication, verification, the api and its page',
  details:
    'With --once it asks a question, stops the cloud database, asks again, is answered from memory, starts it ' +
    'again and stops everything. --json prints as the last line of stdout: {ok, sources, segments, cloudSegments, ' +
    'private: {sources, segments}, lagSeconds, verify, search, fallback, recovered, failures, data, seconds}; ' +
    'search and fallback are {source, hits, tookMs, top: {title, speaker, startMs, link, text}}. Exit 0 only if all of it held.',
  examples: [
    ['start', 'stay, and print the address of the page; Ctrl-C stops everything'],
    ['start -- --once --json', 'the same without staying'],
    ['start -- --mode relay', 'the same, pushed by the relay; --mode gateway pushes through HTTPS'],
    ['start -- --corpus ~/transcripts --query "a question"', 'your own transcripts instead of the sample'],
  ],
  configure(command) {
    command
      .option('--once', 'show failover too, then stop everything')
      .option('--corpus <dir>', 'a folder of transcripts, instead of the built-in sample')
      .option('--query <text>', 'what to ask')
      .addOption(
        new Option(
          '--mode <mode>',
          'how the cloud follows: by subscription, by our relay, or through the gateway',
        )
          .choices(replicationModes)
          .default('native'),
      )
      .option('--data <dir>', 'where the clusters lie (default: data/ in this repository)')
  },
  run: start,
})

async function start(invocation: Invocation<StartOptions>): Promise<ExitCode> {
  const { options, json, out } = invocation
  const begun = performance.now()
  const seconds = (): number => Number(((performance.now() - begun) / 1000).toFixed(1))
  try {
    return await run(invocation, seconds)
  } catch (error) {
    // The last line on stdout is the result of this run, also when there is none to show.
    if (json && options.once === true)
      out.result({ ok: false, error: describeError(error), seconds: seconds() }, '')
    throw error
  }
}

async function run(invocation: Invocation<StartOptions>, seconds: () => number): Promise<ExitCode> {
  const { options, signal } = invocation
  // In the shape of the bootstrap's lines, which come before these.
  const note = (text: string): void =>
    invocation.out.note(`start ${seconds().toFixed(1).padStart(7)}s  ${text}`)
  const out = { ...invocation.out, note }
  const remark = (text: string): void =>
    invocation.out.note(`${new Date().toTimeString().slice(0, 8).padEnd(15)} ${text}`)
  if (options.query?.trim() === '') {
    throw new HomeportError('USAGE', '--query is empty', {
      hint: 'npm start -- --query "a question"',
      exitCode: 2,
    })
  }
  const corpus = options.corpus === undefined ? sample : existingFolder(options.corpus)
  const wanted = join(
    options.data === undefined ? join(repository, 'data') : fromHere(options.data),
    (options.corpus === undefined ? 'sample' : `corpus-${shortHash(corpus)}`) +
      // One way of following cannot take over from another; each has servers of its own.
      (options.mode === 'native' ? '' : `-${options.mode}`),
  )
  const { folder, moved } = resolveDataFolder(wanted)
  if (moved) out.note(`The data lies in ${folder}: the user that runs Postgres cannot reach ${wanted}`)
  const endWatch = watchStarter(() => process.kill(process.pid, 'SIGHUP'))
  try {
    return await onlyOne({ folder, out, signal }, async () => {
      const stack = new Stack({
        folder,
        postgres: findPostgres(),
        corpus,
        mode: options.mode,
        out,
        isTerminal: process.stderr.isTTY,
        signal,
      })
      // A second Ctrl-C does not wait for the orderly end, and must not leave servers behind either.
      const abandon = (): void => stack.abandon()
      process.once('exit', abandon)
      try {
        return options.once === true
          ? await once(stack, { options, out, signal, folder, seconds, remark })
          : await stay(stack, { options, out, signal, folder, seconds, remark })
      } finally {
        out.note('Stopping the api and both servers')
        await stack.stop()
        process.off('exit', abandon)
      }
    })
  } finally {
    endWatch()
  }
}

interface Run {
  options: StartOptions
  out: Output
  signal: AbortSignal
  folder: string
  seconds: () => number
  /** A line with the time of day, for what happens later. */
  remark: (text: string) => void
}

async function once(stack: Stack, run: Run): Promise<ExitCode> {
  const up = await bringUp(stack, run.out)
  const query =
    run.options.query ?? (run.options.corpus === undefined ? sampleQuestion : await stack.question())
  const shown = await demonstrate(stack, {
    query,
    segments: up.cloudSegments,
    out: run.out,
    signal: run.signal,
  })
  const failures = [...up.failures, ...shown.failures]
  const report: OnceReport = {
    ok: failures.length === 0,
    ...up,
    ...shown,
    failures,
    data: run.folder,
    seconds: run.seconds(),
  }
  run.out.result(report, describeOnce(report))
  return report.ok ? 0 : 1
}

async function stay(stack: Stack, run: Run): Promise<ExitCode> {
  const { out, options, signal } = run
  const up = await bringUp(stack, out)
  out.note('Starting the api')
  const api = await stack.startApi()
  const query = options.query ?? (options.corpus === undefined ? sampleQuestion : await stack.question())
  const ask = `${api.url}/search?q=${encodeURIComponent(query)}`
  out.result(
    { url: api.url, data: run.folder, ...up, seconds: run.seconds() },
    [
      '',
      `Homeport is up after ${run.seconds()} s: ${up.segments} segments of ${up.sources} sources, verify: ${up.verify}`,
      ...up.failures.map((failure) => `  not well: ${failure}`),
      '',
      `  page  ${api.url}/`,
      `  data  ${run.folder}`,
      '',
      '  Try:',
      `    curl '${ask}'`,
      `    curl '${api.url}/health'`,
      `    curl '${api.url}/ready'`,
      '',
      'Ctrl-C stops everything.',
    ].join('\n'),
  )
  const { primary, cloud } = stack.urls
  const ended = api.exited.then((exit) => {
    if (!signal.aborted)
      throw new HomeportError('API_ENDED', `the api ended by itself (${exit.signal ?? exit.code})`, {
        hint: 'npm start',
      })
  })
  const monitor = runMonitor({
    primaryUrl: primary,
    cloudUrl: cloud,
    signal,
    onNote: run.remark,
  })
  await Promise.race([monitor, ended, stack.followingEnded()])
  return 0
}

function describeOnce(report: OnceReport): string {
  const line = (name: string, asked: OnceReport['search']): string =>
    `  ${name.padEnd(9)} ${asked.hits} hits from ${asked.source} in ${asked.tookMs} ms: ${asked.top?.title ?? 'nothing'}`
  return [
    report.ok ? 'All of it held.' : `Not all of it held: ${report.failures.join('; ')}`,
    `  segments  ${report.segments} at home, ${report.cloudSegments} in the cloud, of ${report.sources} sources`,
    `  verify    ${report.verify}, ${report.lagSeconds} s behind`,
    line('search', report.search),
    line('fallback', report.fallback),
    `  ${report.seconds} s; the data lies in ${report.data}`,
  ].join('\n')
}

function describeError(error: unknown): { code: string; message: string; hint: string | null } {
  return {
    code: error instanceof HomeportError ? error.code : 'UNEXPECTED',
    message: errorMessage(error),
    hint: error instanceof HomeportError ? (error.hint ?? null) : null,
  }
}

function existingFolder(wanted: string): string {
  const folder = fromHere(wanted)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return folder
  throw new HomeportError('CORPUS_MISSING', `${wanted} is not a folder`, {
    hint: 'npm start -- --corpus DIR',
    exitCode: 2,
  })
}

/** A path as the person sees it: npm runs scripts in the repository, wherever it was called. */
function fromHere(path: string): string {
  return resolve(npmRun().folder, path)
}

// A run whose npm was killed notices within the first, and then says that it stops; that may take the second.
const noticeMs = 1_500
const orderlyEndMs = 90_000

async function onlyOne<T>(
  { folder, out, signal }: { folder: string; out: Output; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const lock = join(folder, 'start.lock')
  const stopping = join(folder, 'stopping')
  const holding = async (): Promise<T> => {
    rmSync(stopping, { force: true })
    const sayStopping = (): void => writeFileSync(stopping, '')
    signal.addEventListener('abort', sayStopping)
    try {
      return await work()
    } finally {
      signal.removeEventListener('abort', sayStopping)
      rmSync(stopping, { force: true })
    }
  }
  try {
    return await withFileLock(lock, holding, { timeoutMs: noticeMs }).catch((error: unknown) => {
      if (!isLockTimeout(error) || !existsSync(stopping)) throw error
      out.note('Waiting for the last run, which is still stopping')
      return withFileLock(lock, holding, { timeoutMs: orderlyEndMs })
    })
  } catch (error) {
    if (!isLockTimeout(error)) throw error
    throw new HomeportError(
      'ALREADY_STARTED',
      `npm start runs already with ${folder}: ${errorMessage(error)}`,
      {
        hint: 'use that one, stop it with Ctrl-C or by kill and its number, or give this one --data DIR',
        cause: error,
      },
    )
  }
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof HomeportError && error.code === 'LOCK_TIMEOUT'
}

process.exitCode = await runProgram({
  name: 'npm',
  description: 'Homeport on this machine',
  commands: [startCommand],
  argv: ['start', ...process.argv.slice(2)],
})
