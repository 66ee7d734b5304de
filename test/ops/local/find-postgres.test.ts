import { mkdtempSync, rmSync } from 'node:fs'
import { relative } from 'node:path'
import t from 'tap'
import { chooseBinaries, findPostgres } from '../../../ops/local/find-postgres.ts'

t.test('the first that is new enough and has pgvector', async (t) => {
  const binaries = (majorVersion: number, hasVector: boolean) => ({
    binDir: `/pg/${majorVersion}`,
    majorVersion,
    hasVector,
  })
  const cases: [string, ReturnType<typeof binaries>[], number | undefined][] = [
    ['none at all', [], undefined],
    ['too old', [binaries(14, true)], undefined],
    ['without pgvector', [binaries(17, false)], undefined],
    ['the newest has no pgvector', [binaries(17, false), binaries(15, true)], 15],
    ['the order decides', [binaries(16, true), binaries(18, true)], 16],
  ]
  for (const [name, candidates, wanted] of cases) {
    t.equal(chooseBinaries(candidates)?.majorVersion, wanted, name)
  }
})

t.test('the one of this machine', async (t) => {
  const found = findPostgres()
  t.ok(found.majorVersion >= 15)
  t.strictSame(findPostgres({ binDir: found.binDir }), found)
  t.strictSame(findPostgres({ binDir: relative(process.cwd(), found.binDir) }), found, 'a path from here')
})

t.test('a folder without Postgres is named, with the way out', async (t) => {
  const empty = mkdtempSync('/tmp/homeport-test-')
  t.teardown(() => rmSync(empty, { recursive: true }))
  t.throws(() => findPostgres({ binDir: empty }), {
    code: 'POSTGRES_MISSING',
    exitCode: 2,
    message: new RegExp(`pgvector in ${empty}`),
    hint: /ops\/bootstrap\.sh/,
  })
})
