import type { ForeignKey } from '../relay/setup/foreign-keys.ts'

const source = 'FOREIGN KEY (source_id, visibility) REFERENCES sources(id, visibility) ON DELETE CASCADE'
const segment = 'FOREIGN KEY (segment_id, visibility) REFERENCES segments(id, visibility) ON DELETE CASCADE'

/**
 * The foreign keys that the migrations make between published tables. A setup in relay mode may have dropped them in
 * the cloud, and the home that has them may be gone. A test compares this list with a migrated database.
 */
export const foreignKeys: readonly ForeignKey[] = [
  {
    table: 'embeddings',
    name: 'embeddings_model_id_fkey',
    definition: 'FOREIGN KEY (model_id) REFERENCES models(id)',
  },
  { table: 'embeddings', name: 'embeddings_segment_id_visibility_fkey', definition: segment },
  {
    table: 'model_terms',
    name: 'model_terms_model_id_fkey',
    definition: 'FOREIGN KEY (model_id) REFERENCES models(id) ON DELETE CASCADE',
  },
  { table: 'segment_terms', name: 'segment_terms_segment_id_visibility_fkey', definition: segment },
  { table: 'segments', name: 'segments_source_id_visibility_fkey', definition: source },
]

/** The triggers that the migrations make on published tables. */
export const contentTriggers: readonly { table: string; trigger: string }[] = [
  { table: 'segments', trigger: 'segments_bump' },
  { table: 'segments', trigger: 'segments_bury' },
  { table: 'sources', trigger: 'sources_bump' },
]

/** The replica identities that the migrations make: the publication's row filter needs them. */
export const replicaIdentities: readonly { table: string; index: string; columns: readonly string[] }[] = [
  { table: 'sources', index: 'sources_identity', columns: ['id', 'visibility'] },
  { table: 'segments', index: 'segments_identity', columns: ['id', 'visibility'] },
  { table: 'segment_terms', index: 'segment_terms_identity', columns: ['segment_id', 'visibility'] },
  { table: 'embeddings', index: 'embeddings_identity', columns: ['model_id', 'segment_id', 'visibility'] },
]
