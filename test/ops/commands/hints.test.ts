import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import t from 'tap'
import { loadCommands } from '../../../ops/commands/all.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const rooms = ['core', 'ingest', 'replication', 'api', 'ops', 'sql']
const kinds = /\.(?:ts|js|sql|md|yml|json|html)$/

function textsOf(folder: string): [path: string, text: string][] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry): [string, string][] => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return textsOf(path)
    return kinds.test(entry.name) ? [[path, readFileSync(join(root, path), 'utf8')]] : []
  })
}

/** What follows "ops" where it is the program that does something. */
const verbs = ['always', 'creates', 'works', 'run']

interface Named {
  path: string
  command: string
  options: string[]
}

/** Every `ops COMMAND --options` of a text; options count up to the end of the sentence or of the string. */
function namedIn(path: string, text: string): Named[] {
  return [...text.matchAll(/\bops ([a-z][a-z-]+)([^\n'"`;,]*)/g)]
    .map(([, command = '', rest = '']) => ({
      path,
      command,
      options: [...rest.matchAll(/--[a-z][a-z-]+/g)].map(([option]) => option),
    }))
    .filter(({ command }) => !verbs.includes(command))
}

t.test(
  'every command that a message, a comment or the RUNBOOK names is there, with its options',
  async (t) => {
    const program = new Command()
    for (const one of await loadCommands([])) one.install(program, async () => undefined)
    const optionsByCommand = new Map(
      program.commands.map((one) => [
        one.name(),
        ['--help', ...one.options.flatMap(({ long }) => long ?? [])],
      ]),
    )
    t.ok(optionsByCommand.get('monitor')?.includes('--once'), 'options are found')
    const named = [
      ...rooms.flatMap(textsOf),
      ['README.md', readFileSync(join(root, 'README.md'), 'utf8')] as const,
    ].flatMap(([path, text]) => namedIn(path, text))
    t.ok(named.length > 200, `${named.length} are named`)
    const unknown = named.flatMap(({ path, command, options }) => {
      const known = optionsByCommand.get(command)
      if (known === undefined) return [`${path}: ops ${command}`]
      return options
        .filter((option) => !known.includes(option))
        .map((option) => `${path}: ops ${command} ${option}`)
    })
    t.strictSame(unknown, [])
  },
)

t.test('one that is not there is found', async (t) => {
  t.strictSame(namedIn('x', "try 'ops verfy segments --fast; ops keys --deep', or ops run"), [
    { path: 'x', command: 'verfy', options: ['--fast'] },
    { path: 'x', command: 'keys', options: ['--deep'] },
  ])
})
