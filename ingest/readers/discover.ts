import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../core/errors.ts'
import { decodeText } from './bytes-to-text.ts'
import { readFileStart, readInputFile, systemReason } from './input-file.ts'
import { hasSpeakers } from './markdown.ts'
import { ReadError } from './read-error.ts'
import { transcriptExtensions } from './read-transcript.ts'
import { captionLists, type CaptionLists, chooseTrack, type Skipped, type Track } from './track-choice.ts'
import { splitTrackName } from './track-name.ts'

export interface TranscriptInput {
  /** Folder and name without language and extension: the same whichever track is read. */
  identityHint: string
  transcriptPath: string
  /** yt-dlp's NAME.info.json beside it. */
  infoPath: string | null
  /** Other tracks of the same video. */
  skipped: Skipped[]
}

export interface Discovery {
  inputs: TranscriptInput[]
  /** Files that look like transcripts and are none, or that nothing reads. */
  skipped: Skipped[]
  /** Paths that could not be read, and named files that are no transcripts. The rest went on. */
  problems: ReadError[]
  /** Files in folders that are of another kind (README, pictures). */
  otherFiles: number
}

interface Group {
  hint: string
  infoPath: string | null
  tracks: Track[]
  named: boolean
}

/** Enough to see a speaker or the events of json3. */
const peekBytes = 256 * 1024
// The whole name: security-talk.md is a talk.
const documents =
  /^(?:readme|licen[cs]e|changelog|contributing|code_of_conduct|security|authors|notice)(?:\.[a-z-]{2,5})?\.(?:md|markdown)$/i

/**
 * The transcripts under files and folders: folders recursively and in the order of their names, hidden
 * ones and node_modules left out, links followed (loops and repeats once only). Tracks of one video
 * (NAME.en.vtt, NAME.en.json3, NAME.info.json) are one input. Throws for nothing a path can be: what
 * cannot be read is in `problems`.
 */
export async function discoverTranscripts(paths: readonly string[]): Promise<Discovery> {
  const search = new Search()
  for (const path of paths) await search.start(path)
  return search.finish()
}

class Search {
  readonly #discovery: Discovery = { inputs: [], skipped: [], problems: [], otherFiles: 0 }
  readonly #groups = new Map<string, Group>()
  readonly #seenFolders = new Set<string>()
  readonly #seenFiles = new Set<string>()

  async start(path: string): Promise<void> {
    let isFolder: boolean
    try {
      isFolder = (await stat(path)).isDirectory()
    } catch (error) {
      this.#problem('FILE_UNREADABLE', path, error)
      return
    }
    if (isFolder) await this.#folder(path)
    else await this.#namedFile(path)
  }

  async finish(): Promise<Discovery> {
    for (const group of this.#groups.values()) {
      if (group.tracks.length === 0) {
        if (group.infoPath !== null) {
          this.#discovery.skipped.push({
            path: group.infoPath,
            reason: 'metadata without a transcript beside it',
          })
        }
        continue
      }
      const lists = group.infoPath === null ? undefined : await readCaptionLists(group.infoPath)
      // Whoever names the one file wants that file, whatever it is.
      const sole = group.named && group.tracks.length === 1
      const { chosen, skipped } = chooseTrack(group.tracks, sole ? undefined : lists)
      if (chosen === undefined) this.#discovery.skipped.push(...skipped)
      else {
        const { hint: identityHint, infoPath } = group
        this.#discovery.inputs.push({ identityHint, transcriptPath: chosen.path, infoPath, skipped })
      }
    }
    return this.#discovery
  }

  async #folder(path: string): Promise<void> {
    let names: string[]
    try {
      const real = await realpath(path)
      if (this.#seenFolders.has(real)) return
      this.#seenFolders.add(real)
      names = (await readdir(path)).sort()
    } catch (error) {
      this.#problem('FOLDER_UNREADABLE', path, error)
      return
    }
    const siblings = new Set(names)
    const folders: string[] = []
    for (const name of names) {
      if (name.startsWith('.') || name === 'node_modules') continue
      const child = join(path, name)
      try {
        const kind = await stat(child)
        if (kind.isDirectory()) folders.push(child)
        else if (kind.isFile()) await this.#foundFile(child, siblings)
        else this.#discovery.otherFiles += 1
      } catch (error) {
        this.#problem('FILE_UNREADABLE', child, error, name)
      }
    }
    for (const folder of folders) await this.#folder(folder)
  }

  async #foundFile(path: string, siblings: ReadonlySet<string>): Promise<void> {
    const name = basename(path)
    if (name.endsWith('.info.json')) {
      const base = name.slice(0, -'.info.json'.length)
      this.#group(path, base, siblings)
      return
    }
    const { extension } = splitTrackName(name)
    if (!transcriptExtensions.includes(extension) || documents.test(name)) {
      this.#discovery.otherFiles += 1
      return
    }
    if (extension === '.json' && !(await peek(path)).includes('"events"')) {
      this.#discovery.otherFiles += 1
    } else if (/^\.(?:md|markdown)$/.test(extension) && !hasSpeakers(await peek(path))) {
      this.#discovery.skipped.push({ path, reason: 'no paragraph names its speaker' })
    } else await this.#track(path, siblings, false)
  }

  async #namedFile(path: string): Promise<void> {
    const { extension } = splitTrackName(basename(path))
    if (path.endsWith('.info.json') || !transcriptExtensions.includes(extension)) {
      this.#discovery.problems.push(
        new ReadError('NOT_A_TRANSCRIPT', {
          file: path,
          reason: path.endsWith('.info.json')
            ? 'it is metadata, not a transcript'
            : 'its name is not that of a transcript',
          hint: `Known are ${transcriptExtensions.join(', ')}.`,
        }),
      )
      return
    }
    let siblings: Set<string>
    try {
      siblings = new Set(await readdir(dirname(path)))
    } catch {
      // The file may be readable where its folder cannot be listed; it then has no metadata.
      siblings = new Set()
    }
    await this.#track(path, siblings, true)
  }

  async #track(path: string, siblings: ReadonlySet<string>, named: boolean): Promise<void> {
    const real = await realpath(path)
    if (this.#seenFiles.has(real)) return
    this.#seenFiles.add(real)
    const { base, extension, language } = splitTrackName(basename(path), (known) => hasOther(siblings, known))
    const group = this.#group(path, base, siblings)
    group.tracks.push({ path, extension, language })
    group.named ||= named
  }

  #group(path: string, base: string, siblings: ReadonlySet<string>): Group {
    const folder = dirname(path)
    const hint = join(folder, base)
    const known = this.#groups.get(hint)
    if (known !== undefined) return known
    const infoPath = siblings.has(`${base}.info.json`) ? join(folder, `${base}.info.json`) : null
    const group: Group = { hint, infoPath, tracks: [], named: false }
    this.#groups.set(hint, group)
    return group
  }

  #problem(code: 'FILE_UNREADABLE' | 'FOLDER_UNREADABLE', path: string, error: unknown, name = ''): void {
    // What is no UTF-8 in a listed name became U+FFFD, and by that name there is no file.
    const misnamed = name.includes('\ufffd') && errorCode(error) === 'ENOENT'
    const reason = misnamed ? 'its name is not UTF-8; rename it' : systemReason(error)
    this.#discovery.problems.push(
      error instanceof ReadError ? error : new ReadError(code, { file: path, reason, cause: error }),
    )
  }
}

function hasOther(siblings: ReadonlySet<string>, base: string): boolean {
  return (
    siblings.has(`${base}.info.json`) ||
    transcriptExtensions.some((extension) => siblings.has(base + extension))
  )
}

async function peek(path: string): Promise<string> {
  const bytes = await readFileStart(path, peekBytes)
  try {
    return decodeText(bytes, path).text
  } catch (error) {
    // Empty or binary: no transcript, and of no other interest here.
    if (error instanceof ReadError) return ''
    throw error
  }
}

/** For the choice only: whoever reads the metadata later reports what is wrong with it. */
async function readCaptionLists(infoPath: string): Promise<CaptionLists | undefined> {
  try {
    const { text } = decodeText(await readInputFile(infoPath), infoPath)
    return captionLists(JSON.parse(text))
  } catch {
    return undefined
  }
}
