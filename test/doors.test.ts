import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Which rooms a room may import from, besides itself. */
const doors: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ingest: ['core'],
  replication: ['core'],
  api: ['core'],
  ops: ['core', 'ingest', 'replication', 'api'],
  test: ['core', 'ingest', 'replication', 'api', 'ops'],
}

function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

export function crossings(room: string, file: string, text: string): string[] {
  const found: string[] = []
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)) {
    const target = relative(root, join(dirname(file), match[1] ?? '')).split(sep)[0] ?? ''
    if (target !== room && target in doors && !(doors[room] ?? []).includes(target)) {
      found.push(`${relative(root, file)} imports ${match[1]}`)
    }
  }
  return found
}

t.test('doors between rooms open one way', async (t) => {
  for (const room of Object.keys(doors)) {
    const files = typescriptFiles(join(root, room))
    t.ok(files.length > 0, `${room} has files`)
    t.same(
      files.flatMap((file) => crossings(room, file, readFileSync(file, 'utf8'))),
      [],
      `${room} imports only from ${[room, ...(doors[room] ?? [])].join(', ')}`,
    )
  }
})

t.test('a forbidden import is found', async (t) => {
  const file = join(root, 'api', 'app.ts')
  t.same(crossings('api', file, "import { x } from '../replication/lag.ts'"), [
    'api/app.ts imports ../replication/lag.ts',
  ])
  t.same(crossings('api', file, "import { x } from '../core/db.ts'"), [])
})

t.test('only core/config.ts reads the environment', async (t) => {
  const readers = ['core', 'ingest', 'replication', 'api', 'ops']
    .flatMap((room) => typescriptFiles(join(root, room)))
    .filter((file) => /process\.env\b/.test(readFileSync(file, 'utf8')))
    .map((file) => relative(root, file).split(sep).join('/'))
  t.same(readers, ['core/config.ts'])
})

t.test('sql holds no TypeScript, and no file has the name of a drawer', async (t) => {
  t.same(typescriptFiles(join(root, 'sql')), [])
  const drawers = Object.keys(doors)
    .flatMap((room) => typescriptFiles(join(root, room)))
    .filter((file) => /\/(utils?|helpers?|common|misc|types)\.ts$/.test(file))
  t.same(drawers, [])
})
