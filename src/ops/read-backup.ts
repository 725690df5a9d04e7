/**
 * Reads a backup chunk by chunk. It yields only entries that were sealed and are in order, and throws for anything
 * else.
 *
 * @module
 */
import { HoldfastError } from '../core/errors.ts'
import { FORMAT, type Header, type StoredEntry, type Trailer, damaged, sealer, toEntry } from './format.ts'

/** A backup from its beginning, as text or as UTF-8 bytes. */
export type BackupSource = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>

/** One chunk. The first has the header, the last the trailer. */
export interface BackupChunk {
  readonly header?: Header
  readonly entries: readonly StoredEntry[]
  readonly trailer?: Trailer
}

/** The start of a seal. No other line starts like this. */
const SEAL = '{"seal":'
/** More than any chunk has: a value of 64 MiB, with every character escaped. */
const MAX_CHUNK = 2 ** 29 - 2 ** 20

/** The lines of a stream without their line feeds; `torn` if the last line has none. */
async function* linesOf(source: BackupSource): AsyncGenerator<{ readonly text: string; readonly torn: boolean }, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let rest = ''
  let lines = 0
  const decode = (piece?: Uint8Array): string => {
    try {
      return decoder.decode(piece, { stream: piece !== undefined })
    } catch (cause) {
      throw damaged('checksum', `The text after line ${lines} is not UTF-8`, lines + 1, cause)
    }
  }
  for await (const piece of source) {
    rest += typeof piece === 'string' ? piece : decode(piece)
    if (rest.length > MAX_CHUNK) throw damaged('malformed', 'The file is not a backup: a line is too long', 1)
    let from = 0
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
      lines++
      yield { text: rest.slice(from, end), torn: false }
      from = end + 1
    }
    rest = rest.slice(from)
  }
  rest += decode()
  if (rest !== '') yield { text: rest, torn: true }
}

/**
 * Reads a backup.
 *
 * @param source - text or bytes, from the beginning, decompressed
 * @throws `SERIALIZATION`; `details.reason` is `checksum`, `truncated`, `malformed` or `unsupported_version`, and
 *   `details.line` is the line
 */
export async function* readBackup(source: BackupSource): AsyncGenerator<BackupChunk, void> {
  const { seal } = sealer()
  let chunk = ''
  let first = 1
  let line = 0
  let chunks = 0
  let entries = 0
  let before: StoredEntry | undefined
  let ended = false
  for await (const { text, torn } of linesOf(source)) {
    line++
    if (ended) throw damaged('malformed', 'The backup goes on after its end', line)
    if (line === 1 && !text.startsWith('{"holdfast":"backup"') && !torn) {
      throw damaged('malformed', 'The file is not a backup, or its first line is damaged', line)
    }
    if (!text.startsWith(SEAL)) {
      chunk += `${text}\n`
      if (chunk.length > MAX_CHUNK) throw damaged('malformed', `Chunk ${chunks + 1} is too long`, first)
      continue
    }
    chunks++
    if (torn || `${text}\n` !== (await seal(chunk))) {
      const message = torn
        ? `The backup ends inside line ${line}`
        : `Chunk ${chunks}, lines ${first} to ${line}, does not match its checksum`
      throw damaged(torn ? 'truncated' : 'checksum', message, first)
    }
    const read = parse(chunk, first)
    for (const entry of read.entries) {
      if (before && !isBehind(entry, before)) throw damaged('malformed', 'The entries are not in order', first)
      before = entry
    }
    entries += read.entries.length
    ended = read.trailer !== undefined
    if (read.trailer && read.trailer.entries !== entries) {
      throw damaged('malformed', `The backup has ${entries} entries, but claims ${read.trailer.entries}`, line)
    }
    yield read
    chunk = ''
    first = line + 1
  }
  if (!ended) throw damaged('truncated', `The backup is cut off after line ${line}`, line)
}

const isBehind = (entry: StoredEntry, before: StoredEntry): boolean =>
  entry.part === before.part ? entry.key > before.key : entry.part > before.part

/** Parses the lines of a sealed chunk. */
function parse(chunk: string, first: number): BackupChunk {
  let header: Header | undefined
  let trailer: Trailer | undefined
  const entries: StoredEntry[] = []
  chunk
    .slice(0, -1)
    .split('\n')
    .forEach((text, i) => {
      try {
        const content = JSON.parse(text) as Record<string, unknown>
        if (first + i === 1) header = toHeader(content)
        else if (content['end'] === true) trailer = content as unknown as Trailer
        else entries.push(toEntry(content))
      } catch (cause) {
        if (cause instanceof HoldfastError) throw cause
        throw damaged('malformed', `Line ${first + i} cannot be parsed`, first + i, cause)
      }
    })
  return { ...(header && { header }), entries, ...(trailer && { trailer }) }
}

function toHeader(content: Readonly<Record<string, unknown>>): Header {
  const { format } = content
  if (format === FORMAT) return content as unknown as Header
  throw damaged(
    'unsupported_version',
    `The backup has format ${String(format)}, and this release reads ${FORMAT}; use a newer release of holdfast`,
    1,
  )
}
