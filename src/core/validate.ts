/**
 * Checks of requests before any I/O. They are the same for every driver, so drivers check nothing, and one invalid
 * commit cannot fail the others in its batch.
 *
 * @module
 */
import { MAX_TIME, requireInteger } from './arguments.ts'
import type { Check, Commit, EntryKey, LimitName, Limits, Op, Read, Value } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'
import { SEPARATOR, trimmedKey, utf8Bytes } from './keys.ts'

function within(limits: Limits, limit: LimitName, size: number): void {
  const most = limits[limit]
  if (size <= most) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `${limit} must be at most ${most}, not ${size}`, {
    details: { limit, most, size },
  })
}

const NAME = /^[ -~]+$/
/** The longest half of a key. Pages and lists hold a thousand of them. */
const MAX_NAME = 4096

/**
 * Requires half of a key, or an id.
 *
 * @returns its size in bytes, which equals its number of characters
 * @throws `INVALID_ARGUMENT` for anything but 1 to 4096 characters of printable ASCII
 */
export function requireName(name: string): number {
  if (name.length <= MAX_NAME && NAME.test(name)) return name.length
  throw invalid(`A key must be 1 to ${MAX_NAME} characters of printable ASCII`)
}

const weighKey = ({ part, key }: EntryKey, { keyOverhead = 0 }: Limits): number =>
  requireName(part) + requireName(key) + keyOverhead

/** With any other ending, the prefix would also cover the entries of other keys. */
function weighLog(log: EntryKey, limits: Limits): number {
  const bytes = weighKey(log, limits)
  if (log.key.endsWith(SEPARATOR)) return bytes
  throw invalid(`The key of a log must end in ${SEPARATOR}`)
}

const weighRef = (ref: string | undefined, { keyOverhead = 0 }: Limits): number =>
  ref === undefined ? 0 : requireName(ref) + keyOverhead

function weighValue(value: Value, limits: Limits): number {
  const isText = typeof value === 'string'
  if (isText ? !value.isWellFormed() || value.includes('\0') : !(value instanceof Uint8Array)) {
    throw invalid('A stored value must be bytes, or well-formed text without NUL')
  }
  const bytes = isText ? utf8Bytes(value) : value.length
  within(limits, 'valueBytes', bytes)
  return bytes + (limits.valueOverhead ?? 0)
}

function weighOp(op: Op, limits: Limits): number {
  if ('append' in op) {
    return weighLog(op.append, limits) + weighRef(op.ref, limits) + weighValue(op.value, limits)
  }
  if ('put' in op) {
    const { expires } = op
    if (expires && !(Math.abs('in' in expires ? expires.in : expires.at) <= MAX_TIME)) {
      throw invalid('expires must be a number of milliseconds, at most 8.64e15')
    }
    return weighKey(op.put, limits) + weighValue(op.value, limits)
  }
  if ('delete' in op) return weighKey(op.delete, limits)
  if ('trim' in op) {
    requireInteger(op.through, 'through', 1)
    return weighLog(op.trim, limits)
  }
  const { keyOverhead = 0 } = limits
  if ('deletePart' in op) return requireName(op.deletePart) + keyOverhead
  const { part, start, end } = op.deleteRange
  return requireName(part) + requireName(start) + requireName(end) + keyOverhead
}

function refuseTwice(ops: readonly Op[]): void {
  /** The keys the ops write. Numbers of appends are not known yet, and bulk deletes are applied first. */
  const seen = new Set<string>()
  for (const op of ops) {
    const { part, key }: Partial<EntryKey> =
      'put' in op
        ? op.put
        : 'delete' in op
          ? op.delete
          : 'append' in op
            ? { ...op.append, key: op.ref! }
            : 'trim' in op
              ? { ...op.trim, key: trimmedKey(op.trim.key) }
              : {}
    if (key === undefined) continue
    const name = `${part}\n${key}`
    if (seen.has(name)) throw invalid(`A commit must touch the key ${key} only once`)
    seen.add(name)
  }
}

function refuseTwiceChecked(checks: readonly Check[]): void {
  const seen = new Set<string>()
  for (const check of checks) {
    const { part, key } = 'at' in check ? check.at : check.log
    const name = `${part}\n${key}`
    if (seen.has(name)) throw invalid(`A commit must check the key ${key} only once`)
    seen.add(name)
  }
}

/**
 * Checks the commits of one request.
 *
 * @returns their size in bytes: all keys, versions and values
 * @throws `PAYLOAD_TOO_LARGE` for more than the driver accepts; `INVALID_ARGUMENT` for a commit that is malformed,
 *   touches or checks a key twice, or names a log by a key that does not end in `!`
 */
export function validateCommits(commits: readonly Commit[], limits: Limits): number {
  within(limits, 'requestCommits', commits.length)
  let bytes = 0
  for (const { id, checks, ops, durability } of commits) {
    if (durability !== 'strict' && durability !== 'relaxed')
      throw invalid(`durability must be strict or relaxed, not ${String(durability)}`)
    bytes += id.length
    for (const check of checks) {
      bytes += 'at' in check ? weighKey(check.at, limits) + (check.version?.length ?? 0) : weighLog(check.log, limits)
    }
    for (const op of ops) bytes += weighOp(op, limits)
    within(limits, 'commitKeys', checks.length + ops.length)
    if (ops.length > 1) refuseTwice(ops)
    if (checks.length > 1) refuseTwiceChecked(checks)
  }
  within(limits, 'requestBytes', bytes)
  return bytes
}

/**
 * Checks the reads of one request.
 *
 * @throws `PAYLOAD_TOO_LARGE` for more than the driver accepts; `INVALID_ARGUMENT` for a malformed name or page length
 */
export function validateReads(reads: readonly Read[], limits: Limits): void {
  within(limits, 'requestReads', reads.length)
  for (const read of reads) {
    if ('get' in read) {
      requireName(read.get.part)
      requireName(read.get.key)
      continue
    }
    const { start, end, limit } = 'range' in read ? read.range : read.parts
    if ('range' in read) requireName(read.range.part)
    requireName(start)
    requireName(end)
    requireInteger(limit, 'limit', 1, limits.rangeEntries)
  }
}
