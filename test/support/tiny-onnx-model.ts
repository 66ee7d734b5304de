import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Width of the tiny model's vectors. */
export const tinyDimensions = 16
/** Most tokens a text may have, [CLS] and [SEP] included. */
export const tinyMaxTokens = 12

/** Its vocabulary: a token's id is its place. `broken` has a vector that is not a number. */
export const tinyVocabulary = (
  '[PAD] [UNK] [CLS] [SEP] broken query passage : . , the a of and to in is what how why who postgres ' +
  'replication slot lag vector index search word speech home cloud primary segment verify drift backup ' +
  'restore relay gateway whisper model fast slow disk memory ##s ##ing ##ed'
).split(' ')

/** The vector of a token: deterministic, between -1 and 1. */
export function tinyVector(token: number, dimensions = tinyDimensions): number[] {
  const nan = tinyVocabulary[token] === 'broken'
  return Array.from({ length: dimensions }, (_, at) =>
    nan ? NaN : Math.fround(Math.sin(1 + token * 12.9898 + at * 78.233)),
  )
}

/**
 * Writes a sentence model that looks its token vectors up in a table (one Gather): a real folder with real
 * files, made by hand, that transformers and the ONNX runtime load as they load any other.
 */
export async function writeTinyModel(
  folder: string,
  options: { dimensions?: number; output?: string; weights?: 'onnx/model.onnx' | 'model.onnx' } = {},
): Promise<void> {
  const { dimensions = tinyDimensions, output = 'last_hidden_state', weights = 'onnx/model.onnx' } = options
  await mkdir(join(folder, 'onnx'), { recursive: true })
  const json = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value, null, 1))
  await json('config.json', {
    model_type: 'bert',
    architectures: ['BertModel'],
    hidden_size: dimensions,
    vocab_size: tinyVocabulary.length,
    max_position_embeddings: tinyMaxTokens,
  })
  await json('tokenizer_config.json', {
    tokenizer_class: 'BertTokenizer',
    do_lower_case: true,
    model_max_length: tinyMaxTokens,
    pad_token: '[PAD]',
    unk_token: '[UNK]',
    cls_token: '[CLS]',
    sep_token: '[SEP]',
  })
  await json('tokenizer.json', tokenizer())
  await writeFile(join(folder, weights), gatherModel(dimensions, output))
}

function tokenizer(): unknown {
  const id = (token: string) => tinyVocabulary.indexOf(token)
  const special = (token: string) => ({ [token]: { id: token, ids: [id(token)], tokens: [token] } })
  const sequence = { Sequence: { id: 'A', type_id: 0 } }
  const cls = { SpecialToken: { id: '[CLS]', type_id: 0 } }
  const sep = { SpecialToken: { id: '[SEP]', type_id: 0 } }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content) => ({
      id: id(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [cls, sequence, sep],
      pair: [cls, sequence, sep, { Sequence: { id: 'B', type_id: 1 } }, sep],
      special_tokens: { ...special('[CLS]'), ...special('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tinyVocabulary.map((token) => [token, id(token)])),
    },
  }
}

// Protocol buffers by hand: field numbers of onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto).

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)])
}

function bytes(field: number, ...parts: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}

const float = 1
const int64 = 7

function tensorInfo(field: number, name: string, elementType: number, shape: (string | number)[]): Buffer {
  const dimensions = shape.map((size) =>
    typeof size === 'string' ? bytes(1, bytes(2, size)) : bytes(1, number(1, size)),
  )
  const type = bytes(1, number(1, elementType), bytes(2, ...dimensions))
  return bytes(field, bytes(1, name), bytes(2, type))
}

function gatherModel(dimensions: number, output: string): Buffer {
  const table = tinyVocabulary.flatMap((_, token) => tinyVector(token, dimensions))
  const weights = Buffer.from(Float32Array.from(table).buffer)
  const shape = [number(1, tinyVocabulary.length), number(1, dimensions)]
  const graph = [
    bytes(
      1,
      bytes(1, 'table'),
      bytes(1, 'input_ids'),
      bytes(2, output),
      bytes(3, 'look_up'),
      bytes(4, 'Gather'),
    ),
    bytes(2, 'tiny'),
    bytes(5, ...shape, number(2, float), bytes(8, 'table'), bytes(9, weights)),
    tensorInfo(11, 'input_ids', int64, ['batch', 'tokens']),
    tensorInfo(11, 'attention_mask', int64, ['batch', 'tokens']),
    tensorInfo(12, output, float, ['batch', 'tokens', dimensions]),
  ]
  const irVersion = number(1, 8)
  const operators = bytes(8, bytes(1, ''), number(2, 13))
  return Buffer.concat([irVersion, bytes(2, 'tiny-onnx-model'), bytes(7, ...graph), operators])
}
