/**
 * The backup format, version 1: lines of JSON, sealed chunk by chunk. docs/backup-format.md has it in words.
 *
 * @module
 */
import { fromBase64, toBase64 } from '../core/base64.ts'
import type { Entry } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { sha256 } from '../core/sha256.ts'

/** The version that is written, and the only one there is. */
export const FORMAT = 1

/** The first line. */
export interface Header {
  readonly holdfast: 'backup'
  readonly format: number
  /** The driver it was made of. */
  readonly driver: string
  /** By the clock of the backend, in milliseconds since 1970. */
  readonly createdAt: number
  /** The tenant it is of; left out where it is of all. */
  readonly tenant?: string
}

/** An entry and its part, as a line says it. */
export interface StoredEntry extends Entry {
  readonly part: string
}

/** The last line before the last seal. */
export interface Trailer {
  readonly end: true
  readonly entries: number
  /** Whether all of it was there at one moment, as far as it does not expire. */
  readonly consistent: boolean
}

/** Why a backup was refused. */
export type BackupFault = 'checksum' | 'truncated' | 'malformed' | 'unsupported_version'

/** `SERIALIZATION`, with what is wrong and where. */
export const damaged = (reason: BackupFault, message: string, line: number, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', message, { details: { reason, line }, cause })

/** A line, with its end. */
export const lineOf = (content: object): string => `${JSON.stringify(content)}\n`

/** The line of an entry. */
export function entryLine(part: string, { key, version, value, expiresAt }: Entry): string {
  const content = typeof value === 'string' ? { text: value } : { bytes: toBase64(value) }
  return lineOf({ part, key, version, ...(expiresAt !== null && { expiresAt }), ...content })
}

const NAME = /^[ -~]+$/
const isName = (it: unknown): it is string => typeof it === 'string' && NAME.test(it)

/**
 * The entry of a line, which no release has written where it is malformed.
 *
 * @throws whatever the parser does
 */
export function toEntry(content: Readonly<Record<string, unknown>>): StoredEntry {
  const { part, key, version, expiresAt = null, text, bytes } = content
  const isExpiry = expiresAt === null || Number.isSafeInteger(expiresAt)
  const isText = typeof text === 'string' && bytes === undefined
  const isBytes = typeof bytes === 'string' && text === undefined
  if (!isName(part) || !isName(key) || !isName(version) || !isExpiry || isText === isBytes) {
    throw new TypeError('Not the line of an entry')
  }
  return {
    part,
    key,
    version,
    value: isText ? text : fromBase64(bytes as string),
    expiresAt: expiresAt as number | null,
  }
}

/** Seals chunks: each seal stands for everything from the first line of the backup on. */
export interface Sealer {
  /** The line behind a chunk. */
  seal(chunk: string): Promise<string>
}

/** Makes what seals the chunks of one backup, in order. */
export function sealer(): Sealer {
  let digest = ''
  let count = 0
  return {
    async seal(chunk) {
      digest = await sha256(digest + chunk)
      return lineOf({ seal: ++count, sha256: digest })
    },
  }
}
