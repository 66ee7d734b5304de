import { HomeportError } from '../errors.ts'

/** How a sentence model's token vectors become one: their mean, the first token's or the last token's. */
export type Pooling = 'mean' | 'cls' | 'last'

/** A model's output for a batch: a vector a token, texts after one another. */
export interface HiddenStates {
  values: Float32Array
  texts: number
  tokens: number
  dimensions: number
}

/**
 * One vector of unit length a text. Padding (mask 0) takes no part, wherever it stands.
 *
 * @param mask 1 for a real token, texts x tokens
 * @throws HomeportError MODEL_OUTPUT when a vector is not finite.
 */
export function poolTokens(hidden: HiddenStates, mask: ArrayLike<number>, pooling: Pooling): Float32Array {
  const { texts, dimensions } = hidden
  const pooled = new Float32Array(texts * dimensions)
  const sums = new Float64Array(dimensions)
  for (let text = 0; text < texts; text++) {
    addTokens(hidden, mask, pooling, text, sums.fill(0))
    // Over the sum instead of the mean: the length is taken out either way.
    const length = Math.sqrt(sums.reduce((sum, value) => sum + value * value, 0))
    if (!Number.isFinite(length)) {
      throw new HomeportError(
        'MODEL_OUTPUT',
        'the embedding model answered with numbers that are not finite',
        {
          hint: 'use a full-precision export of the model (onnx/model.onnx)',
        },
      )
    }
    for (let at = 0; at < dimensions; at++) {
      pooled[text * dimensions + at] = length === 0 ? 0 : sums[at]! / length
    }
  }
  return pooled
}

function addTokens(
  { values, tokens, dimensions }: HiddenStates,
  mask: ArrayLike<number>,
  pooling: Pooling,
  text: number,
  sums: Float64Array,
): void {
  const real: number[] = []
  for (let token = 0; token < tokens; token++) {
    if (mask[text * tokens + token] === 1) real.push(text * tokens + token)
  }
  const picked = { mean: real, cls: real.slice(0, 1), last: real.slice(-1) }[pooling]
  for (const token of picked) {
    for (let at = 0; at < dimensions; at++) sums[at]! += values[token * dimensions + at]!
  }
}
