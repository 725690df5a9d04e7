/**
 * A driver whose values look different underneath: what the wrappers that encrypt and compress share. Keys, versions,
 * expiry and the numbers that the driver itself writes for references stay as they are.
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
  Key,
  Limits,
  Op,
  Outcome,
  Read,
  Value,
} from './driver.ts'

/** How values look underneath. */
export interface ValueMapping {
  /** What it adds to a value at most, in bytes. */
  readonly overhead: number
  /**
   * Makes the value to store.
   *
   * @param at - the key; of an append the prefix of the log, since the number is not known yet
   */
  encode(value: Value, at: Key, isAppend: boolean): Value | Promise<Value>
  /** The value that was stored; refuses what {@link ValueMapping.encode} cannot have made. */
  decode(value: Value, at: Key): Value | Promise<Value>
  /** Refuses an op that cannot be mapped. */
  check?(op: Op): void
}

/** The limits of a driver that adds so many bytes to each value. */
const within = (limits: Limits, overhead: number): Limits => ({
  ...limits,
  valueBytes: limits.valueBytes - overhead,
  valueOverhead: (limits.valueOverhead ?? 0) + overhead,
})

/** Puts a mapping of values in front of a driver. */
export function mapValues(driver: Driver, mapping: ValueMapping): Driver {
  async function encodeOp(op: Op): Promise<Op> {
    mapping.check?.(op)
    if ('put' in op) return { ...op, value: await mapping.encode(op.value, op.put, false) }
    if ('append' in op) return { ...op, value: await mapping.encode(op.value, op.append, true) }
    return op
  }

  const encodeCommit = async (commit: Commit): Promise<Commit> => ({
    ...commit,
    ops: await Promise.all(commit.ops.map(encodeOp)),
  })

  const decodeEntry = async (entry: Entry, part: string): Promise<Entry> => ({
    ...entry,
    value: await mapping.decode(entry.value, { part, key: entry.key }),
  })

  async function decodeAnswer(answer: Answer, read: Read): Promise<Answer> {
    if (answer === null || 'parts' in read) return answer
    if ('get' in read) return decodeEntry(answer as Entry, read.get.part)
    const { part, keysOnly } = read.range
    if (keysOnly) return answer
    const { entries, more } = answer as EntryPage
    return { entries: await Promise.all(entries.map((entry) => decodeEntry(entry, part))), more }
  }

  async function decodeFailed(failed: FailedCheck, { checks }: Commit): Promise<FailedCheck> {
    const { check, current } = failed
    const asked = checks[check]!
    if (current === null || !('at' in asked) || !('value' in current)) return failed
    return { check, current: await decodeEntry(current as Entry, asked.at.part) }
  }

  const decodeOutcome = async (outcome: Outcome, commit: Commit): Promise<Outcome> =>
    outcome.ok
      ? outcome
      : { ok: false, failed: await Promise.all(outcome.failed.map((failed) => decodeFailed(failed, commit))) }

  return {
    ...driver,
    capabilities: { ...driver.capabilities, limits: within(driver.capabilities.limits, mapping.overhead) },
    async read(reads, options) {
      const { now, answers } = await driver.read(reads, options)
      return { now, answers: await Promise.all(answers.map((answer, i) => decodeAnswer(answer, reads[i]!))) }
    },
    async commit({ commits, ...request }, options) {
      const encoded = await Promise.all(commits.map(encodeCommit))
      const { now, outcomes } = await driver.commit({ ...request, commits: encoded }, options)
      return { now, outcomes: await Promise.all(outcomes.map((outcome, i) => decodeOutcome(outcome, commits[i]!))) }
    },
  }
}
