import t from 'tap'
import { Writable } from 'node:stream'
import { defineCommand, reflow, runProgram, wholeNumber, type AnyCommand } from '../../core/cli.ts'
import { HomeportError } from '../../core/errors.ts'

class Collected extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

async function run(command: AnyCommand, ...argv: string[]) {
  const stdout = new Collected()
  const stderr = new Collected()
  const exitCode = await runProgram({
    name: 'tool',
    description: 'A tool',
    commands: [command],
    argv,
    stdout,
    stderr,
  })
  return { exitCode, stdout: stdout.text, stderr: stderr.text }
}

const count = defineCommand<{ times: number; dryRun?: boolean }>({
  name: 'count',
  summary: 'Count words',
  examples: [['count a b --times 2', 'twice']],
  configure: (command) =>
    command
      .argument('<word...>', 'words')
      .option('--times <n>', 'how often', wholeNumber({ min: 1, max: 9 }), 1)
      .option('--dry-run', 'only look'),
  async run({ args, options, out }) {
    out.note('counting')
    out.progress('never shown outside a terminal')
    out.result({ words: args.length * options.times, dry: options.dryRun === true }, `${args.length} words`)
    return 3
  },
})

function failing(error: unknown): AnyCommand {
  return defineCommand({
    name: 'fail',
    summary: 'Fail',
    examples: [],
    run: () => Promise.reject(error as Error),
  })
}

t.test('results on stdout, the rest on stderr, the exit code as returned', async (t) => {
  t.strictSame(await run(count, 'count', 'a', 'b'), {
    exitCode: 3,
    stdout: '2 words\n',
    stderr: 'counting\n',
  })
  const json = await run(count, 'count', 'a', 'b', '--times', '2', '--dry-run', '--json')
  t.strictSame(JSON.parse(json.stdout), { words: 4, dry: true })
})

t.test('help', async (t) => {
  const help = await run(count, 'count', '--help')
  t.equal(help.exitCode, 0)
  t.match(help.stdout, /Usage: tool count/)
  t.match(help.stdout, /\$ tool count a b --times 2\n +twice/)
  t.match(help.stdout, '--json')
  t.match((await run(count, '--help')).stdout, /count .*Count words/)
})

t.test('wrong usage is exit 2 with the command that helps', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /a command is needed\nTry: tool --help/],
    [['nothing'], /unknown command 'nothing'/],
    [['count'], /missing required argument 'word'\nTry: tool count --help/],
    [['count', 'a', '--bad'], /unknown option '--bad'/],
    [['count', 'a', '--times', '0'], /whole number from 1 to 9/],
    [['count', 'a', '--times', '1e0'], /whole number/],
    [['count', 'a', '--times', ''], /whole number/],
  ]
  for (const [argv, expected] of cases) {
    const result = await run(count, ...argv)
    t.equal(result.exitCode, 2, argv.join(' '))
    t.match(result.stderr, expected)
    t.equal(result.stdout, '')
  }
})

t.test('errors: what to try, as JSON on demand, never a secret, never a stack', async (t) => {
  const known = failing(new HomeportError('TOO_BAD', 'it is bad', { hint: 'make it good', exitCode: 2 }))
  t.strictSame(await run(known, 'fail'), {
    exitCode: 2,
    stdout: '',
    stderr: 'Error: it is bad\nTry: make it good\n',
  })
  const json = await run(known, 'fail', '--json')
  t.strictSame(JSON.parse(json.stderr), {
    error: { code: 'TOO_BAD', message: 'it is bad', hint: 'make it good' },
  })
  const unknown = await run(failing(new Error('cannot use postgres://me:hunter2@host/db')), 'fail')
  t.strictSame(unknown, { exitCode: 1, stdout: '', stderr: 'Error: cannot use postgres://me:****@host/db\n' })
})

t.test('a signal aborts the command once, and listeners do not pile up', async (t) => {
  const before = process.listenerCount('SIGTERM')
  const waiting = defineCommand({
    name: 'wait',
    summary: 'Wait',
    examples: [],
    run: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        process.emit('SIGTERM', 'SIGTERM')
      }),
  })
  t.match(await run(waiting, 'wait'), { exitCode: 1, stderr: /Error: stopped by SIGTERM/ })
  t.equal(process.listenerCount('SIGTERM'), before)
})

t.test('one Ctrl-C that arrives twice, once through npm, does not cut the end short', async (t) => {
  const ending = defineCommand({
    name: 'end',
    summary: 'End in order',
    examples: [],
    run: async ({ signal, out }) => {
      process.emit('SIGINT', 'SIGINT')
      process.emit('SIGINT', 'SIGINT')
      await new Promise((go) => setImmediate(go))
      out.result({}, signal.aborted ? 'ended in order' : 'not told')
      return 0
    },
  })
  t.strictSame(await run(ending, 'end'), { exitCode: 0, stdout: 'ended in order\n', stderr: '' })
})

t.test('a terminal that was closed is told nothing more', async (t) => {
  const stdout = new Collected()
  const closed = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EIO'), { code: 'EIO' })),
  })
  const speaking = defineCommand({
    name: 'speak',
    summary: 'Speak',
    examples: [],
    run: async ({ out, signal }) => {
      process.emit('SIGHUP', 'SIGHUP')
      out.note('bye')
      await new Promise((go) => setImmediate(go))
      return signal.aborted ? 0 : 1
    },
  })
  const options = { name: 'tool', description: 'A tool', commands: [speaking], argv: ['speak'] }
  t.equal(await runProgram({ ...options, stdout, stderr: closed }), 0)
})

t.test('progress fits the terminal, and an error begins on a clean line', async (t) => {
  const stderr = Object.assign(new Collected(), { isTTY: true, columns: 20 })
  const failing = defineCommand({
    name: 'fail',
    summary: 'Fail half-way',
    examples: [],
    run: ({ out }) => {
      out.progress('x'.repeat(50))
      return Promise.reject(new HomeportError('BAD', 'it is bad'))
    },
  })
  const options = { name: 'tool', description: 'A tool', commands: [failing], argv: ['fail'] }
  t.equal(await runProgram({ ...options, stdout: new Collected(), stderr }), 1)
  const erase = '\r\u001b[2K'
  t.equal(stderr.text, `${erase}${'x'.repeat(19)}${erase}Error: it is bad\n`)
})

t.test('help breaks its lines where the terminal ends, not where the source does', async (t) => {
  t.equal(reflow('one line, and\nthe next'), 'one line, and the next')
  t.equal(reflow('A sentence.\nAnother:\nwhat'), 'A sentence.\nAnother:\nwhat')
  t.equal(reflow('a paragraph\n\nand one more\n  indented'), 'a paragraph\n\nand one more\n  indented')
  const stdout = new Collected()
  const long = defineCommand({
    name: 'long',
    summary: 'Long',
    details: `${'word '.repeat(20)}end\n${'word '.repeat(20)}end`,
    examples: [],
    run: () => Promise.resolve(0),
  })
  const options = { name: 'tool', description: 'A tool', commands: [long], argv: ['long', '--help'] }
  t.equal(await runProgram({ ...options, stdout, stderr: new Collected() }), 0)
  t.match(stdout.text, / end word /, 'as one paragraph')
})
