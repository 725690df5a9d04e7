/**
 * The backup format, version 1: lines of JSON, sealed chunk by chunk. docs/backup-format.md describes it.
 *
 * @module
 */
import { fromBase64, toBase64 } from '../core/base64.ts'
import type { Entry } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { sha256 } from '../core/sha256.ts'

/** The version that is written. There is no other one yet. */
export const FORMAT = 1

/** The first line. */
export interface Header {
  readonly holdfast: 'backup'
  readonly format: number
  /** The driver of the store. */
  readonly driver: string
  /** By the backend's clock, in milliseconds since 1970. */
  readonly createdAt: number
  /** The tenant; absent if the backup holds all tenants. */
  readonly tenant?: string
}

/** An entry and its part, as one line holds them. */
export interface StoredEntry extends Entry {
  readonly part: string
}

/** The last line before the last seal. */
export interface Trailer {
  readonly end: true
  readonly entries: number
  /** Whether the backup is as of one moment, apart from entries that expire. */
  readonly consistent: boolean
}

/** Why a backup was refused. */
export type BackupFault = 'checksum' | 'truncated' | 'malformed' | 'unsupported_version'

/** A `SERIALIZATION` error with the reason and the line. */
export const damaged = (reason: BackupFault, message: string, line: number, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', message, { details: { reason, line }, cause })

/** A line of JSON, with its line feed. */
export const lineOf = (content: object): string => `${JSON.stringify(content)}\n`

/** Encodes an entry as a line. */
export function entryLine(part: string, { key, version, value, expiresAt }: Entry): string {
  const content = typeof value === 'string' ? { text: value } : { bytes: toBase64(value) }
  return lineOf({ part, key, version, ...(expiresAt !== null && { expiresAt }), ...content })
}

const NAME = /^[ -~]+$/
const isName = (it: unknown): it is string => typeof it === 'string' && NAME.test(it)

/**
 * Decodes the line of an entry.
 *
 * @throws an error of any kind for a malformed line, which no release has written
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

/** Seals chunks. Each seal covers everything from the first line of the backup. */
export interface Sealer {
  /** Returns the line that follows the chunk. */
  seal(chunk: string): Promise<string>
}

/** Creates a sealer for one backup. Chunks must come in order. */
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
