import t from 'tap'
import { formatBytes, formatDuration } from '../../core/amounts.ts'

t.test('bytes', async (t) => {
  t.same([0, 512, 1024, 3_565_158, 5 * 1024 ** 4, 5 * 1024 ** 5].map(formatBytes), [
    '0 B',
    '512 B',
    '1.0 kB',
    '3.4 MB',
    '5.0 TB',
    '5120.0 TB',
  ])
})

t.test('durations', async (t) => {
  t.same([0, 9_400, 250_000, 7_500_000, 172_799_000, 273_600_000].map(formatDuration), [
    '0 s',
    '9 s',
    '4 min 10 s',
    '2 h 5 min',
    '47 h 59 min',
    '3 d 4 h',
  ])
})
