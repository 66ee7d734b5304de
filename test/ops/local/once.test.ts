import t from 'tap'
import { describeIngest } from '../../../ops/local/once.ts'

t.test('an ingest in a few words', async (t) => {
  const none = { added: 0, changed: 0, unchanged: 0, removed: 0, failed: 0 }
  const segments = { added: 0, removed: 0, updated: 0, unchanged: 9 }
  const failure = { path: 'a.vtt', line: null, code: 'X', reason: 'bad' }
  t.equal(describeIngest({ sources: { ...none, unchanged: 3 }, segments, failures: [] }), 'Nothing new')
  t.equal(
    describeIngest({
      sources: { ...none, added: 2, changed: 1, removed: 4 },
      segments: { ...segments, added: 7 },
      failures: [failure, failure] as never,
    }),
    '2 new, 1 changed, 4 removed sources, 7 segments, 2 files could not be read',
  )
})
