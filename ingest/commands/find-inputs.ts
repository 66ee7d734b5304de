// TEMPORARY stand-in
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { InputFiles } from '../identity.ts'
import type { Failure } from '../store/failure.ts'

export interface FoundInputs {
  files: InputFiles[]
  roots: string[]
  failures: Failure[]
}

export async function findInputs(
  paths: readonly string[],
  _o: { missingIsGone: boolean },
): Promise<FoundInputs> {
  const files: InputFiles[] = []
  const roots = paths.map((p) => realpathSync(p))
  for (const r of roots) {
    if (statSync(r).isFile()) files.push({ path: r, metadataPath: null })
    else
      for (const n of readdirSync(r).sort())
        if (/\.(md|srt|vtt|json3)$/.test(n)) files.push({ path: join(r, n), metadataPath: null })
  }
  return { files, roots, failures: [] }
}
