/**
 * A driver that stores values in another form, for the wrappers that encrypt and compress. Keys, versions, expiry and
 * the numbers that the driver itself writes stay as they are: those of references and of trimmed logs.
 *
 * @module
 */
import type {
  Answer,
  Commit,
  Driver,
  Entry,
  EntryPage,
  FailedCheck,
  EntryKey,
  Limits,
  Op,
  Outcome,
  Read,
  Value,
} from '../../core/driver.ts'
import { isTrimmedKey } from './key-shapes.ts'
import { type Room, entryBytes, roomFor } from '../../core/limits.ts'

/** The destination of a value. A repeated request has the same destinations. */
export interface Destination {
  /** The key; for an append the prefix of the log, because the number is not known yet. */
  readonly at: EntryKey
  readonly isAppend: boolean
  /** The id of the commit. */
  readonly commit: string
  /** The index of the op in its commit. */
  readonly op: number
}

/** A mapping between values and stored values. */
export interface ValueMapping {
  /** The most that it adds to a value, in bytes. */
  readonly overhead: number
  /**
   * Whether a value may be larger than its stored form. Answers are then cut twice: by the driver, and after decoding.
   */
  readonly mayGrow?: boolean
  /**
   * Makes the stored value. The result must be the same for the same value and destination, in every process, because a
   * repeated request is equal byte for byte.
   */
  encode(value: Value, to: Destination): Value | Promise<Value>
  /** Returns the original value. @throws for anything that {@link ValueMapping.encode} cannot have made */
  decode(value: Value, at: EntryKey): Value | Promise<Value>
  /** Throws for an op that cannot be mapped. */
  check?(op: Op): void
}

/**
 * The most values decoded at once if they may grow: each may reach the largest size before it is known whether it fits.
 */
const AT_ONCE = 8

/** A number as a driver writes it. */
const WRITTEN = /^[1-9]\d{0,15}$/

/** Whether this is the number that the driver keeps, and reads, for a trimmed log. */
const isTrimmedTo = (value: Value, at: EntryKey): boolean =>
  typeof value === 'string' && WRITTEN.test(value) && isTrimmedKey(at)

/** The limits of a driver that adds `overhead` bytes to each value. */
const within = (limits: Limits, overhead: number): Limits => ({
  ...limits,
  valueBytes: limits.valueBytes - overhead,
  valueOverhead: (limits.valueOverhead ?? 0) + overhead,
})

/** Applies a mapping of values to a driver. */
export function mapValues(driver: Driver, mapping: ValueMapping): Driver {
  const { overhead, mayGrow = false } = mapping
  const { limits } = driver.capabilities

  async function encodeOp(op: Op, commit: string, index: number): Promise<Op> {
    mapping.check?.(op)
    const to = { commit, op: index }
    if ('append' in op)
      return { ...op, value: await mapping.encode(op.value, { ...to, at: op.append, isAppend: true }) }
    if (!('put' in op) || isTrimmedTo(op.value, op.put)) return op
    return { ...op, value: await mapping.encode(op.value, { ...to, at: op.put, isAppend: false }) }
  }

  const encodeCommit = async (commit: Commit): Promise<Commit> => ({
    ...commit,
    ops: await Promise.all(commit.ops.map((op, i) => encodeOp(op, commit.id, i))),
  })

  async function decodeEntry(entry: Entry, part: string): Promise<Entry> {
    const at = { part, key: entry.key }
    return isTrimmedTo(entry.value, at) ? entry : { ...entry, value: await mapping.decode(entry.value, at) }
  }

  async function decodePage({ entries, more }: EntryPage, part: string, room: Room): Promise<EntryPage> {
    const decoded: Entry[] = []
    const step = mayGrow ? AT_ONCE : Infinity
    for (let from = 0; from < entries.length; from += step) {
      const some = entries.slice(from, from + step).map((entry) => decodeEntry(entry, part))
      for (const entry of await Promise.all(some)) {
        if (mayGrow && !room.takes(entryBytes(entry), decoded.length === 0)) return { entries: decoded, more: true }
        decoded.push(entry)
      }
    }
    return { entries: decoded, more }
  }

  async function decodeAnswer(answer: Answer, read: Read, room: Room): Promise<Answer> {
    if (answer === null || 'parts' in read) return answer
    if ('get' in read) return decodeEntry(answer as Entry, read.get.part)
    const { part, keysOnly } = read.range
    return keysOnly ? answer : decodePage(answer as EntryPage, part, room)
  }

  /**
   * Never throws, because the outcome is known and must be reported. A value that cannot be decoded is left out;
   * reading the entry then throws the reason.
   */
  async function decodeFailed(failed: FailedCheck, { checks }: Commit, room: Room): Promise<FailedCheck> {
    const { check, current } = failed
    const asked = checks[check]!
    if (current === null || !('at' in asked) || !('version' in current) || current.value === undefined) return failed
    const { value, ...without } = current
    try {
      const entry = room.left > 0 ? await decodeEntry({ ...without, value }, asked.at.part) : without
      if (!mayGrow || room.takes(entryBytes(entry), !('value' in entry))) return { check, current: entry }
      // Later values are not decoded to find out whether they fit.
      room.takes(room.left)
    } catch {
      // The same as if there had been no room.
    }
    return { check, current: without }
  }

  /** Maps items one after the other if they may grow, so that not all are in memory at once. */
  async function each<T, U>(items: readonly T[], map: (item: T, i: number) => Promise<U>): Promise<U[]> {
    if (!mayGrow) return Promise.all(items.map(map))
    const mapped: U[] = []
    for (const [i, item] of items.entries()) mapped.push(await map(item, i))
    return mapped
  }

  return {
    ...driver,
    capabilities: { ...driver.capabilities, limits: within(limits, overhead) },
    async read(reads, options) {
      const { now, answers } = await driver.read(reads, options)
      const room = roomFor(limits.answerBytes)
      return { now, answers: await each(answers, (answer, i) => decodeAnswer(answer, reads[i]!, room)) }
    },
    async commit({ commits, ...request }, options) {
      const encoded = await Promise.all(commits.map(encodeCommit))
      const { now, outcomes } = await driver.commit({ ...request, commits: encoded }, options)
      const room = roomFor(limits.answerBytes)
      const decoded = await each(outcomes, async (outcome, i): Promise<Outcome> => {
        if (outcome.ok) return outcome
        return { ok: false, failed: await each(outcome.failed, (failed) => decodeFailed(failed, commits[i]!, room)) }
      })
      return { now, outcomes: decoded }
    },
  }
}
