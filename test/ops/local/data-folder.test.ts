import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { resolveDataFolder } from '../../../ops/local/data-folder.ts'
import { canEnter, unprivilegedUser } from '../../../ops/local/unprivileged-user.ts'

const user = unprivilegedUser()
// Folders that the code makes must be open or closed by its own word, not by the shell's.
process.umask(0o022)
const onlyRoot = user === undefined ? { skip: 'only root has to run Postgres as somebody else' } : {}

t.test('a folder that Postgres can reach stays where it was asked for', async (t) => {
  const wanted = join(openFolder(t), 'a b/data')
  t.strictSame(resolveDataFolder(wanted), { folder: wanted, wanted, moved: false })
  t.equal(statSync(wanted).mode & 0o077, 0)
  if (user !== undefined) t.equal(statSync(wanted).uid, user.uid)
  writeFileSync(join(wanted, 'kept'), '')
  t.strictSame(resolveDataFolder(wanted), { folder: wanted, wanted, moved: false })
  t.strictSame(readdirSync(wanted), ['kept'])
})

t.test('a folder below one that is closed to Postgres moves, and a link leads there', onlyRoot, async (t) => {
  const base = openFolder(t)
  const elsewhere = join(base, 'elsewhere')
  const wanted = join(closedFolder(base, 'my files'), 'data')
  process.umask(0o077)
  const first = resolveDataFolder(wanted, { elsewhere })
  process.umask(0o022)
  t.equal(first.moved, true)
  t.equal(join(first.folder, '..'), elsewhere)
  t.ok(user !== undefined && canEnter(first.folder, user))
  t.equal(realpathSync(wanted), first.folder)
  t.equal(statSync(first.folder).mode & 0o077, 0)
  t.strictSame(resolveDataFolder(wanted, { elsewhere }), first, 'the same the next time')
})

t.test(
  'a folder with files of its own stays, with a note that says where the data is',
  onlyRoot,
  async (t) => {
    const base = openFolder(t)
    const wanted = join(closedFolder(base, 'clone'), 'data')
    mkdirSync(wanted)
    writeFileSync(join(wanted, 'other'), 'x')
    const { folder } = resolveDataFolder(wanted, { elsewhere: join(base, 'elsewhere') })
    t.match(readFileSync(join(wanted, 'WHERE-THE-DATA-IS.txt'), 'utf8'), folder)
    t.equal(readFileSync(join(wanted, 'other'), 'utf8'), 'x')
  },
)

t.test('two clones, and a copy of a clone with its link, have data of their own', onlyRoot, async (t) => {
  const base = openFolder(t)
  const elsewhere = join(base, 'elsewhere')
  const one = closedFolder(base, 'one')
  const folders = [resolveDataFolder(join(one, 'data'), { elsewhere }).folder]
  folders.push(resolveDataFolder(join(closedFolder(base, 'two'), 'data'), { elsewhere }).folder)
  cpSync(one, join(base, 'copy'), { recursive: true, verbatimSymlinks: true })
  chmodSync(join(base, 'copy'), 0o700)
  t.ok(lstatSync(join(base, 'copy/data')).isSymbolicLink())
  folders.push(resolveDataFolder(join(base, 'copy/data'), { elsewhere }).folder)
  t.equal(new Set(folders).size, 3)
  t.equal(resolveDataFolder(join(one, 'data'), { elsewhere }).folder, folders[0])
})

t.test('what can be no folder is refused with the reason', async (t) => {
  const base = openFolder(t)
  writeFileSync(join(base, 'file'), 'x')
  for (const [wanted, reason] of [
    [join(base, 'file'), /is a file/],
    [join(base, 'file/data'), /is a file/],
    [join(base, 'x'.repeat(300)), /too long/],
  ] as const) {
    t.throws(() => resolveDataFolder(wanted), { code: 'DATA_FOLDER_DENIED', exitCode: 2, message: reason })
  }
  t.equal(readFileSync(join(base, 'file'), 'utf8'), 'x')
})

const onlyPlain = user === undefined ? {} : { skip: 'root may write into every folder' }

t.test("another user's folder is refused", onlyPlain, async (t) => {
  const wanted = join(openFolder(t), 'data')
  mkdirSync(wanted, { mode: 0o500 })
  t.throws(() => resolveDataFolder(wanted), { code: 'DATA_FOLDER_DENIED', exitCode: 2 })
  t.ok(existsSync(wanted))
})

function openFolder(t: Test): string {
  const folder = mkdtempSync('/tmp/homeport-test-')
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return realpathSync(folder)
}

function closedFolder(base: string, name: string): string {
  const folder = join(base, name)
  mkdirSync(folder, { mode: 0o700 })
  return folder
}
