/**
 * What a request must be before any I/O: the same for every driver, so that drivers check nothing and one poisoned
 * commit cannot take its neighbours down.
 *
 * @module
 */
import { MAX_TIME, requireInteger } from './arguments.ts'
import type { Commit, Key, Limits, Read } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'
import { utf8Bytes } from './keys.ts'

function within(limits: Limits, limit: keyof Limits, size: number): void {
  const most = limits[limit]
  if (size <= most) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `${limit} must be at most ${most}, not ${size}`, {
    details: { limit, most, size },
  })
}

const NAME = /^[ -~]+$/

function refuseMalformed({ durability, checks, ops }: Commit): void {
  if (durability !== 'strict' && durability !== 'relaxed') throw invalid('durability must be strict or relaxed')
  for (const it of [...checks, ...ops]) {
    const at = 'at' in it ? it.at : 'log' in it ? it.log : 'put' in it ? it.put : 'append' in it ? it.append : undefined
    if (at !== undefined && !(NAME.test(at.part) && NAME.test(at.key))) throw invalid('A key must be printable ASCII')
    if (!('value' in it)) continue
    const { value } = it
    if (typeof value === 'string' ? !value.isWellFormed() || value.includes('\0') : !(value instanceof Uint8Array)) {
      throw invalid('A stored value must be bytes, or well-formed text without NUL')
    }
    const { in: span = 0, at: moment = 0 } = ('put' in it && it.expires ? it.expires : {}) as {
      in?: number
      at?: number
    }
    if (!(Math.abs(span) <= MAX_TIME && Math.abs(moment) <= MAX_TIME)) throw invalid('expires must be a time')
  }
}

/** The bytes of all text, as UTF-8, and all bytes in something: of checks and ops, keys, versions and values. */
function weigh(it: unknown): number {
  if (typeof it === 'string') return utf8Bytes(it)
  if (it instanceof Uint8Array) return it.length
  if (typeof it !== 'object' || it === null) return 0
  let bytes = 0
  for (const part of Array.isArray(it) ? it : Object.values(it)) bytes += weigh(part)
  return bytes
}

/**
 * Checks commits that travel together.
 *
 * @returns their size in bytes
 * @throws `PAYLOAD_TOO_LARGE` for more than the driver takes, `INVALID_ARGUMENT` for a commit that touches a key twice
 */
export function validateCommits(commits: readonly Commit[], limits: Limits): number {
  within(limits, 'requestCommits', commits.length)
  let bytes = 0
  for (const commit of commits) {
    const { id, checks, ops } = commit
    refuseMalformed(commit)
    bytes += weigh([id, checks, ops])
    within(limits, 'commitKeys', checks.length + ops.length)
    /** What it writes to by name. The numbers of appends are not known yet, and bulk deletes go first. */
    const seen = new Set<string>()
    for (const op of ops) {
      // A character has three bytes at most: what cannot be over the limit is not measured twice.
      if ('value' in op && op.value.length * 3 > limits.valueBytes) within(limits, 'valueBytes', weigh(op.value))
      const { part, key }: Partial<Key> =
        'put' in op ? op.put : 'delete' in op ? op.delete : 'append' in op ? { ...op.append, key: op.ref! } : {}
      if (key === undefined) continue
      const name = `${part}\n${key}`
      if (seen.has(name)) throw invalid(`A commit must touch ${key} once`)
      seen.add(name)
    }
  }
  within(limits, 'requestBytes', bytes)
  return bytes
}

/**
 * Checks questions that travel together.
 *
 * @throws `PAYLOAD_TOO_LARGE` for more than the driver takes, `INVALID_ARGUMENT` for a malformed page length
 */
export function validateReads(reads: readonly Read[], limits: Limits): void {
  within(limits, 'requestReads', reads.length)
  for (const read of reads) {
    if ('get' in read) continue
    requireInteger(('range' in read ? read.range : read.parts).limit, 'limit', 1, limits.rangeEntries)
  }
}
