import { maxFileBytes } from './input-file.ts'
import { ReadError } from './read-error.ts'

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252'

export interface DecodedText {
  text: string
  encoding: Encoding
  warnings: string[]
}

/**
 * A transcript's bytes as text, without its byte order mark. UTF-8, UTF-16 (by its mark, or by where
 * its zero bytes lie), else windows-1252 with a warning. UTF-8 with a few broken bytes stays UTF-8
 * (they become U+FFFD, with a warning): one bad byte must not turn every accent of a file to garbage.
 * @throws ReadError EMPTY_FILE, BINARY_FILE, FILE_TOO_LARGE
 */
export function decodeText(bytes: Uint8Array, file: string): DecodedText {
  if (bytes.length > maxFileBytes) {
    throw new ReadError('FILE_TOO_LARGE', {
      file,
      reason: `it is larger than ${maxFileBytes / 1024 / 1024} MB`,
    })
  }
  const decoded = decode(bytes, file)
  if (decoded.text.trim() === '') {
    throw new ReadError('EMPTY_FILE', { file, reason: 'the file is empty' })
  }
  refuseBinary(decoded.text, file)
  return decoded
}

function decode(bytes: Uint8Array, file: string): DecodedText {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return utf16(bytes.subarray(2), 'utf-16le')
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return utf16(bytes.subarray(2), 'utf-16be')
  const guessed = guessUtf16(bytes)
  if (guessed !== undefined) return utf16(bytes, guessed)
  const zero = bytes.indexOf(0)
  if (zero !== -1) throw binary(file, 'it holds NUL bytes', lineOfByte(bytes, zero))
  try {
    // The decoder drops a byte order mark.
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), encoding: 'utf-8', warnings: [] }
  } catch {
    return brokenUtf8(bytes)
  }
}

function brokenUtf8(bytes: Uint8Array): DecodedText {
  const census = countUtf8(bytes)
  const line = lineOfByte(bytes, census.firstBroken)
  if (census.wellFormed > census.broken * 4) {
    return {
      text: new TextDecoder('utf-8').decode(bytes),
      encoding: 'utf-8',
      warnings: [`line ${line}: ${census.broken} broken UTF-8 sequence(s) were replaced`],
    }
  }
  return {
    text: windows1252(bytes),
    encoding: 'windows-1252',
    warnings: [`line ${line}: not UTF-8; read as windows-1252`],
  }
}

/** How many multi-byte sequences are well formed and how many bytes are not part of one. */
function countUtf8(bytes: Uint8Array): { wellFormed: number; broken: number; firstBroken: number } {
  let wellFormed = 0
  let broken = 0
  let firstBroken = -1
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0
    if (lead < 0x80) {
      at += 1
      continue
    }
    const length =
      lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0
    let followers = 1
    while (followers < length && ((bytes[at + followers] ?? 0) & 0xc0) === 0x80) followers += 1
    if (length > 0 && followers === length) {
      wellFormed += 1
      at += length
    } else {
      if (firstBroken === -1) firstBroken = at
      broken += 1
      at += 1
    }
  }
  return { wellFormed, broken, firstBroken: Math.max(0, firstBroken) }
}

function utf16(bytes: Uint8Array, encoding: 'utf-16le' | 'utf-16be'): DecodedText {
  const text = new TextDecoder(encoding).decode(bytes)
  const warnings = text.includes('\uFFFD') ? [`the ${encoding.toUpperCase()} text has broken characters`] : []
  return { text, encoding, warnings }
}

/** UTF-16 without a mark: in Western text nearly every second byte is zero, always on the same side. */
function guessUtf16(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const sample = Math.min(bytes.length, 4096) & ~1
  if (sample < 4) return undefined
  let even = 0
  let odd = 0
  for (let at = 0; at < sample; at += 2) {
    if (bytes[at] === 0) even += 1
    if (bytes[at + 1] === 0) odd += 1
  }
  const pairs = sample / 2
  if (odd > pairs * 0.4 && even === 0) return 'utf-16le'
  if (even > pairs * 0.4 && odd === 0) return 'utf-16be'
  return undefined
}

// 0x80 to 0x9f of windows-1252 (WHATWG index). Not TextDecoder: Node 20's reads them as ISO-8859-1.
const windows1252High =
  '\u20AC\u0081\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\u008D\u017D\u008F' +
  '\u0090\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\u009D\u017E\u0178'

function windows1252(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString('latin1')
    .replace(/[\x80-\x9f]/g, (char) => windows1252High.charAt(char.charCodeAt(0) - 0x80))
}

function refuseBinary(text: string, file: string): void {
  const zero = text.indexOf('\0')
  if (zero !== -1) throw binary(file, 'it holds NUL characters', lineOfCharacter(text, zero))
  const sample = text.slice(0, 65_536)
  // eslint-disable-next-line no-control-regex
  const controls = sample.match(/[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]/g)?.length ?? 0
  if (controls > 4 && controls > sample.length * 0.01) throw binary(file, 'it is full of control characters')
}

function binary(file: string, what: string, line?: number): ReadError {
  return new ReadError('BINARY_FILE', {
    file,
    line,
    reason: `this is not text: ${what}`,
    hint: 'Give captions (.vtt, .srt, .json3) or Markdown with speakers (.md).',
  })
}

function lineOfByte(bytes: Uint8Array, end: number): number {
  let line = 1
  for (let at = bytes.indexOf(10); at !== -1 && at < end; at = bytes.indexOf(10, at + 1)) line += 1
  return line
}

/** The line, counted from 1, of a character of a text. */
export function lineOfCharacter(text: string, end: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) line += 1
  return line
}
