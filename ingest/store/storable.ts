/** The text of a value made storable: Postgres takes neither NUL nor half a surrogate pair. Same length. */
export function storable(text: string): string {
  return unstorable.test(text) ? text.replace(unstorableAll, '\ufffd') : text
}
// With the u flag a paired surrogate is one code point, so only lone ones match.
const unstorable = /[\0\p{Surrogate}]/u
const unstorableAll = /[\0\p{Surrogate}]/gu

/** {@link storable} for every text within a value that becomes jsonb. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? storable(part) : part))
}
