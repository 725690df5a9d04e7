/**
 * What a request must be before any I/O: the same for every driver, so that drivers check nothing and one poisoned
 * commit cannot take its neighbours down.
 *
 * @module
 */
import { requireInteger } from './arguments.ts'
import type { Commit, Key, Limits, Read, Value } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'
import { utf8Bytes } from './keys.ts'

function within(limits: Limits, limit: keyof Limits, size: number): void {
  const most = limits[limit]
  if (size <= most) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `${limit} must be at most ${most}, not ${size}`, {
    details: { limit, most, size },
  })
}

/** UTF-8 bytes of a value; or, where nothing depends on it, the most they can be without a look at the text. */
const sizeOf = (value: Value, isExact: boolean): number =>
  typeof value !== 'string' ? value.length : isExact ? utf8Bytes(value) : value.length * 3

const sizeOfKey = ({ part, key }: Key): number => part.length + key.length

function sizeOfCommit({ id, checks, ops }: Commit, isExact: boolean): number {
  let bytes = id.length
  for (const check of checks) bytes += 'at' in check ? sizeOfKey(check.at) + id.length : sizeOfKey(check.log)
  for (const op of ops) {
    if ('put' in op) bytes += sizeOfKey(op.put) + sizeOf(op.value, isExact)
    else if ('append' in op) bytes += sizeOfKey(op.append) + sizeOf(op.value, isExact) + (op.ref?.length ?? 0)
    else if ('delete' in op) bytes += sizeOfKey(op.delete)
    else
      bytes +=
        'deletePart' in op ? op.deletePart.length : sizeOfKey({ ...op.deleteRange, key: op.deleteRange.start }) * 2
  }
  return bytes
}

/** The keys that a commit writes to by name. The numbers of appends are not known yet, and bulk deletes go first. */
function refuseTwice({ ops }: Commit): void {
  const seen = new Set<string>()
  for (const op of ops) {
    const { part, key } =
      'put' in op ? op.put : 'delete' in op ? op.delete : 'append' in op ? { ...op.append, key: op.ref } : ({} as Key)
    if (key === undefined) continue
    const name = `${part}\n${key}`
    if (seen.has(name)) throw invalid(`A commit must touch ${key} once`)
    seen.add(name)
  }
}

/**
 * Checks commits that travel together.
 *
 * @returns their size in bytes: exactly, or the most it can be
 * @throws `PAYLOAD_TOO_LARGE` for more than the driver takes, `INVALID_ARGUMENT` for a commit that touches a key twice
 */
export function validateCommits(commits: readonly Commit[], limits: Limits): number {
  within(limits, 'requestCommits', commits.length)
  for (const commit of commits) {
    const { checks, ops } = commit
    within(limits, 'commitKeys', checks.length + ops.length)
    for (const op of ops) {
      if (!('value' in op)) continue
      const isExact = sizeOf(op.value, false) > limits.valueBytes
      if (isExact) within(limits, 'valueBytes', sizeOf(op.value, true))
    }
    if (ops.length > 1) refuseTwice(commit)
  }
  const sum = (isExact: boolean): number => commits.reduce((bytes, commit) => bytes + sizeOfCommit(commit, isExact), 0)
  const most = sum(false)
  // Of many commits this small, as many as fit leave together all the same.
  if (most <= limits.requestBytes / 64) return most
  const bytes = sum(true)
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
    const { limit } = 'range' in read ? read.range : read.parts
    if (requireInteger(limit, 'limit', 1) > limits.rangeEntries) {
      throw invalid(`limit must be at most ${limits.rangeEntries}, not ${limit}`)
    }
  }
}
