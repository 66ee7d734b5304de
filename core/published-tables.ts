/** A table that travels from the primary to the cloud. */
export interface PublishedTable {
  name: string
  /** Primary key, in order. */
  key: readonly [string, ...string[]]
  /** Every column that is published and verified, in table order. */
  columns: readonly [string, ...string[]]
  /** Rows of this condition are published (it looks at replica identity columns only); all when absent. */
  filter?: string
  /** The columns that hold vectors: the heavy tier of a verification. */
  vectors?: readonly string[]
}

const publicRows = "visibility = 'public'"

/**
 * The publication, table by table, in the order of their references. Publication, grants and
 * verification all read this list; a test compares it with the migrated schema.
 */
export const publishedTables: readonly PublishedTable[] = [
  {
    name: 'sources',
    key: ['id'],
    columns: [
      'id',
      'kind',
      'url',
      'title',
      'channel',
      'language',
      'duration_ms',
      'published_at',
      'views',
      'visibility',
      'transcript_method',
      'processed_at',
      'change_seq',
    ],
    filter: publicRows,
  },
  {
    name: 'segments',
    key: ['id'],
    columns: [
      'id',
      'source_id',
      'visibility',
      'ordinal',
      'start_ms',
      'end_ms',
      'chapter',
      'speaker',
      'text',
      'turns',
      'word_starts_ms',
      'engine',
      'engine_model',
      'engine_version',
      'confidence',
      'change_seq',
    ],
    filter: publicRows,
  },
  {
    name: 'segment_terms',
    key: ['segment_id'],
    columns: ['segment_id', 'visibility', 'terms', 'counts', 'length'],
    filter: publicRows,
  },
  {
    name: 'models',
    key: ['id'],
    columns: [
      'id',
      'name',
      'kind',
      'fingerprint',
      'dimensions',
      'words_weight',
      'vector_weight',
      'fitted_segments',
      'state',
      'created_at',
      'activated_at',
    ],
  },
  {
    name: 'model_terms',
    key: ['model_id', 'term'],
    columns: ['model_id', 'term', 'basis'],
    vectors: ['basis'],
  },
  {
    name: 'embeddings',
    key: ['model_id', 'segment_id'],
    columns: ['model_id', 'segment_id', 'visibility', 'embedding', 'change_seq'],
    filter: publicRows,
    vectors: ['embedding'],
  },
  { name: 'lexicon', key: ['term'], columns: ['term', 'documents'] },
  { name: 'collection', key: ['id'], columns: ['id', 'documents', 'average_length', 'counted_at'] },
  { name: 'tombstones', key: ['change_seq'], columns: ['change_seq', 'segment_id', 'deleted_at'] },
  { name: 'heartbeat', key: ['id'], columns: ['id', 'beat', 'beat_at', 'lsn'] },
  {
    name: 'verifications',
    key: ['table_name'],
    columns: ['table_name', 'verdict', 'row_count', 'lsn', 'checked_at', 'full_at', 'cloud'],
  },
]

export const publicationName = 'homeport'
export const subscriptionName = 'homeport'
