import { execFileSync } from 'node:child_process'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ExpectedError } from './expected-error.ts'
import { decodeText } from '../../../ingest/readers/bytes-to-text.ts'
import { maxFileBytes, readInputFile } from '../../../ingest/readers/input-file.ts'

const said = 'WEBVTT\n\n00:01.000 --> 00:02.000\nDas Größte – “très bien”\n'

t.test('decodes what transcripts are written in', async (t) => {
  const utf16 = Buffer.from(said, 'utf16le')
  const swapped = Buffer.from(utf16).swap16()
  const cases: [string, Uint8Array, string][] = [
    ['utf-8', Buffer.from(said), 'utf-8'],
    ['utf-8 with a mark', Buffer.from(`\uFEFF${said}`), 'utf-8'],
    ['utf-16 le with a mark', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), 'utf-16le'],
    ['utf-16 be with a mark', Buffer.concat([Buffer.from([0xfe, 0xff]), swapped]), 'utf-16be'],
    ['utf-16 le without', utf16, 'utf-16le'],
    ['utf-16 be without', swapped, 'utf-16be'],
  ]
  for (const [name, bytes, encoding] of cases) {
    t.same(decodeText(bytes, 'a.vtt'), { text: said, encoding, warnings: [] }, name)
  }
})

t.test('falls back to windows-1252 and says so', async (t) => {
  // “été” – €
  const bytes = Buffer.from([0x31, 0x0a, 0x93, 0xe9, 0x74, 0xe9, 0x94, 0x20, 0x96, 0x20, 0x80, 0x0a])
  t.same(decodeText(bytes, 'a.srt'), {
    text: '1\n“été” – €\n',
    encoding: 'windows-1252',
    warnings: ['line 2: not UTF-8; read as windows-1252'],
  })
})

t.test('one broken byte does not turn a UTF-8 file to windows-1252', async (t) => {
  const bytes = Buffer.concat([Buffer.from('é à ü ö\nß '), Buffer.from([0xe9, 0x20]), Buffer.from('ñ\n')])
  const decoded = decodeText(bytes, 'a.srt')
  t.equal(decoded.text, 'é à ü ö\nß \uFFFD ñ\n')
  t.match(decoded.warnings, ['line 2: 1 broken UTF-8 sequence(s) were replaced'])
})

t.test('refuses what is no text', async (t) => {
  const cases: [Uint8Array, ExpectedError][] = [
    [Buffer.from(''), { code: 'EMPTY_FILE', file: 'f.vtt' }],
    [Buffer.from('\uFEFF \r\n\t'), { code: 'EMPTY_FILE' }],
    [Buffer.from('WEBVTT\n\nfoo\0bar'), { code: 'BINARY_FILE', line: 3, reason: /NUL/ }],
    [Buffer.from('\uFEFFWEBVTT\n\0', 'utf16le'), { code: 'BINARY_FILE', line: 2 }],
    [Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]), { code: 'BINARY_FILE' }],
    [Buffer.from('\x01\x02\x03\x04\x05\x06 gzip-like'), { code: 'BINARY_FILE', reason: /control/ }],
  ]
  for (const [bytes, error] of cases) t.throws(() => decodeText(bytes, 'f.vtt'), error)
})

t.test('refuses a large file by its size, unread', async (t) => {
  const path = join(t.testdir(), 'huge.srt')
  writeFileSync(path, '1')
  // Sparse: takes no room on the disk, and a reader that read it would fill the memory.
  truncateSync(path, 100 * 1024 * 1024)
  const before = process.memoryUsage().rss
  await t.rejects(readInputFile(path), { code: 'FILE_TOO_LARGE', file: path, message: /100 MB.*64 MB/ })
  t.ok(process.memoryUsage().rss - before < 50e6, 'without reading it')
  t.throws(() => decodeText(new Uint8Array(maxFileBytes + 1), 'f.md'), { code: 'FILE_TOO_LARGE' })
})

t.test('names what cannot be read', async (t) => {
  const folder = t.testdir({ 'a.vtt': said })
  t.equal(Buffer.from(await readInputFile(join(folder, 'a.vtt'))).toString(), said)
  await t.rejects(readInputFile(join(folder, 'none.vtt')), {
    code: 'FILE_UNREADABLE',
    message: /none\.vtt: there is no such file$/,
  })
  await t.rejects(readInputFile(folder), { code: 'FILE_UNREADABLE', reason: 'it is not a regular file' })
  const pipe = join(folder, 'pipe.vtt')
  execFileSync('mkfifo', [pipe])
  await t.rejects(readInputFile(pipe), { code: 'FILE_UNREADABLE', reason: 'it is not a regular file' })
})
