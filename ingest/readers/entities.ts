const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00A0',
  lrm: '',
  rlm: '',
  shy: '',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  bull: '•',
  middot: '·',
  copy: '©',
  reg: '®',
  trade: '™',
  deg: '°',
  times: '×',
  euro: '€',
  pound: '£',
  frac12: '½',
}

/** Decodes numeric character references and the named ones that occur in captions; leaves others as they are. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z][a-zA-Z0-9]{1,7}));/g, decodeOne)
}

function decodeOne(whole: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return Object.hasOwn(named, name) ? (named[name] ?? whole) : whole
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number.parseInt(decimal, 10)
  // No NUL, no surrogates: Postgres takes neither.
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\uFFFD'
  return String.fromCodePoint(code)
}

const unfolded = /[\u200B\u2060\uFEFF\u200E\u200F]|[^\S ]| {2}|^ | $/

/** White space (also no-break) folded to single spaces, invisible marks dropped, ends trimmed. */
export function foldSpace(text: string): string {
  if (!unfolded.test(text)) return text
  return text
    .replace(/[\u200B\u2060\uFEFF\u200E\u200F]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** JSON escapes can spell half a surrogate pair, which is no character and which Postgres refuses. */
export function withoutLoneSurrogates(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD')
}
