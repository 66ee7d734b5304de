// What requests must look like, to the letter: nothing is converted, filled in or left out.
// No text may hold a NUL, which Postgres does not take.

const text = (maxLength: number, minLength = 1) => ({
  type: 'string',
  minLength,
  maxLength,
  pattern: '^[^\\u0000]*$',
})
const value = { type: ['string', 'null'], pattern: '^[^\\u0000]*$' }
const slot = { type: 'string', pattern: '^[a-z0-9_]{1,63}$' }
const lsn = { type: 'string', pattern: '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$' }
const whole = { type: 'integer', minimum: 0, maximum: 2_147_483_647 }
const bigWhole = { type: 'string', pattern: '^(0|[1-9][0-9]{0,17})$' }
const systemIdentifier = { type: 'string', pattern: '^[1-9][0-9]{0,19}$' }
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' }
const names = { type: 'array', minItems: 1, maxItems: 200, items: text(63) }
const key = {
  type: ['array', 'null'],
  minItems: 1,
  maxItems: 32,
  items: { type: 'string', pattern: '^[^\\u0000]*$' },
}

/** An object of exactly these properties. */
function exactly(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', additionalProperties: false, required: Object.keys(properties), properties }
}

const lease = exactly({ slot, epoch: bigWhole, holder: text(200) })
const fetchedRow = exactly({
  table: text(63),
  key: { type: 'array', minItems: 1, maxItems: 32, items: { type: 'string', pattern: '^[^\\u0000]*$' } },
  columns: { type: 'array', maxItems: 1_700, items: text(63) },
  values: { type: ['array', 'null'], maxItems: 1_700, items: value },
})

export const slotQuery = exactly({ slot })

export const batchQuery = exactly({ slot, batch: digest })

export const leaseBody = exactly({
  slot,
  holder: text(200),
  holderName: text(200),
  systemIdentifier,
  timeline: whole,
  leaseSeconds: { type: 'integer', minimum: 1, maximum: 3_600 },
})

export const renewalBody = exactly({ lease })

export const reportBody = exactly({
  lease,
  report: exactly({
    state: { type: 'string', enum: ['seeding', 'following', 'stopped'] },
    stopCode: { type: ['string', 'null'], maxLength: 100, pattern: '^[^\\u0000]*$' },
    stopMessage: { type: ['string', 'null'], maxLength: 20_000, pattern: '^[^\\u0000]*$' },
    stopHint: { type: ['string', 'null'], maxLength: 20_000, pattern: '^[^\\u0000]*$' },
  }),
})

export const batchBody = exactly({
  instructions: exactly({
    lease,
    quarantine: { type: 'boolean' },
    parts: { type: 'array', maxItems: 100_000, items: digest },
    fetched: { type: ['array', 'null'], items: fetchedRow },
  }),
  content: {},
})

export const seedBody = exactly({
  progress: exactly({ slot, systemIdentifier, timeline: whole, commitLsn: lsn, endLsn: lsn }),
  ranges: {
    type: 'array',
    maxItems: 100_000,
    items: exactly({ table: text(63), number: whole, from: key, to: key }),
  },
  empty: { type: 'array', maxItems: 200, items: text(63) },
})

export const copyBody = exactly({
  instructions: exactly({
    slot,
    range: exactly({ table: text(63), number: whole, from: key, to: key }),
    columns: names,
    snapshotLsn: lsn,
  }),
  content: {},
})

export const seedEndBody = exactly({ slot })

/** Fewer permissions than the key has, or none named: all of them. */
export const tokenBody = {
  type: 'object',
  additionalProperties: false,
  properties: {
    permissions: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { type: 'string', enum: ['relay:read', 'relay:write'] },
    },
  },
}
