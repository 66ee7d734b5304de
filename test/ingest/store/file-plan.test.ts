import t from 'tap'
import { liesUnder, planFiles, prunesTooMuch, SourceClaims } from '../../../ingest/store/file-plan.ts'

const known = (path: string, sourceId: string, hash = 'aa') => ({
  path,
  source_id: sourceId,
  input_hash: hash,
  segments: 3,
})
const found = (path: string, hash = 'aa') => ({
  path,
  metadataPath: null,
  identityPath: path,
  inputHash: Buffer.from(hash, 'hex'),
})

t.test('only new and changed files are read', async (t) => {
  const files = new Map([known('/a', '1'), known('/b', '2')].map((file) => [file.path, file]))
  const plan = planFiles([found('/a'), found('/b', 'bb'), found('/c')], files)
  t.same(
    plan.unchanged.map((file) => file.path),
    ['/a'],
  )
  t.same(
    plan.pending.map((file) => file.path),
    ['/b', '/c'],
  )
})

t.test('a path lies under a folder, not under a name that starts alike', async (t) => {
  for (const [path, roots, expected] of [
    ['/talks/a.vtt', ['/talks'], true],
    ['/talks/a.vtt', ['/talks/a.vtt'], true],
    ['/talks-old/a.vtt', ['/talks'], false],
    ['/talks/a.vtt', ['/'], true],
    ['/talks/a.vtt', [], false],
    ['/talks', ['/talks/a.vtt'], false],
  ] as const) {
    t.equal(liesUnder(path, roots), expected, `${path} under ${roots.join()}`)
  }
})

t.test('half may go without asking, more may not', async (t) => {
  t.notOk(prunesTooMuch(0, 0))
  t.notOk(prunesTooMuch(1, 2))
  t.ok(prunesTooMuch(2, 3))
  t.ok(prunesTooMuch(1, 1))
})

t.test('one source is claimed by one file', async (t) => {
  const claims = new SourceClaims([known('/a', '1'), known('/b', '2')], [found('/b', 'bb')], new Set())
  t.equal(claims.otherOwner('1', '/c'), '/a', 'an unchanged file keeps its source')
  t.equal(claims.otherOwner('1', '/a'), undefined, 'to the file itself it is free')
  t.equal(claims.otherOwner('2', '/c'), undefined, 'a file that is read again gave up its claim')
  const passedOver = new SourceClaims([known('/a.srt', '1')], [], new Set(['/a.srt']))
  t.equal(passedOver.otherOwner('1', '/a.json3'), undefined, 'so does a track that is not chosen any more')
  claims.claim('2', '/c')
  t.equal(claims.otherOwner('2', '/b'), '/c')
})
