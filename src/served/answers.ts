/** Answers of bounded size. Data that does not fit is not loaded either, and is sent later or left out. @module */
import type { Answer, CallOptions, CommitAnswer, Current, Driver, Outcome, Read, ReadAnswer } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { headOf } from '../core/keys.ts'
import { entryBytes, roomFor } from '../core/limits.ts'
import { turned } from '../core/event-loop.ts'
import { MAX_RESTARTS, askAgain, confirm, headBytes, tooFast, tooMuch } from '../drivers/shared/split-reads.ts'

/** The most bytes of values requested from the driver at once. Pages are bounded by it, gets are not. */
const AT_ONCE = 2 ** 24
/**
 * The most values, and the most entries, requested at once: an in-process driver reads them while the event loop stands
 * still.
 */
const MAX_VALUES = 16
const MAX_ENTRIES = 4096
/** The number of entries counted for a page at least: a driver may skip many expired entries to find a few. */
const MIN_ENTRIES = 128
/** The bytes counted for each question: the syntax around a page. */
const QUESTION_BYTES = 32
/** The longest that an in-process driver may block the event loop, in milliseconds. */
const MAX_TURN = 10

/** Options of {@link readWithin}. */
export interface ReadWithinOptions extends CallOptions {
  /** The number of leading questions whose values are left out. */
  readonly known: number
  /** The most bytes of all answers. No more than the driver returns at once, because all are compared at the end. */
  readonly most: number
  /** The longest value to return, in bytes, even if that exceeds the most for all answers. */
  readonly valueBytes: number
  /** Lets the event loop turn, see {@link turns}. */
  readonly turn: Turn
}

/**
 * Answers as many of the first questions as fit, from one consistent view.
 *
 * A driver bounds its pages, but answers every get, and the length of a value is not known before it is read. So the
 * driver is asked a few questions at a time, until there are enough answers. At the end it is asked whether all answers
 * are unchanged. If so, they form one consistent view of that moment.
 *
 * @returns the answers to all known questions and to at least one more; a page may be shorter than requested
 * @throws `UNAVAILABLE` if the data changes faster than it can be read; `PAYLOAD_TOO_LARGE` if the known answers leave
 *   no room, or an entry is too long
 */
export async function readWithin(
  driver: Driver,
  reads: readonly Read[],
  { known, most, valueBytes, turn, ...options }: ReadWithinOptions,
): Promise<ReadAnswer> {
  const questions = reads.map((read, i) => (i < known ? withoutValues(read) : read))
  for (let restarts = 0; restarts < MAX_RESTARTS; restarts++) {
    const shelf = shelfFor(known, most, valueBytes)
    let now = 0
    let requests = 0
    // Without questions, one empty read gets the clock.
    do {
      if (requests > 0) await turn()
      const found = await driver.read(nextOf(questions.slice(shelf.answers.length), valueBytes), options)
      now = found.now
      requests++
      await turn()
      for (const answer of found.answers) if (!shelf.takes(answer)) break
    } while (!shelf.isFull && shelf.answers.length < questions.length)
    const answers = shelf.answers.map((answer, i) => restored(reads[i]!, answer))
    if (requests <= 1) return { now, answers }
    await turn()
    const asked = shelf.answers.map((answer, i) => withoutValues(askAgain(questions[i]!, answer)))
    const last = await driver.read(asked, options)
    await turn()
    const confirmed = confirm(
      answers,
      last.answers.map((answer, i) => restored(reads[i]!, answer)),
    )
    if (confirmed) return { now: last.now, answers: confirmed }
  }
  throw tooFast()
}

/**
 * Leaves out values of failed checks that do not fit into an answer smaller than the driver's.
 *
 * @param most - the most bytes of the answer
 */
export function commitWithin(answer: CommitAnswer, most: number): CommitAnswer {
  const room = roomFor(most)
  const bounded = (current: Current): Current => {
    if (current.value === undefined) return current
    // Text that is clearly too long is not measured.
    if (current.value.length <= room.left && room.takes(sizeOf(current))) return current
    const { key, version, expiresAt } = current
    return { key, version, expiresAt }
  }
  return {
    ...answer,
    outcomes: answer.outcomes.map((outcome): Outcome =>
      outcome.ok
        ? outcome
        : {
            ok: false,
            failed: outcome.failed.map((it) =>
              it.current && 'version' in it.current ? { ...it, current: bounded(it.current) } : it,
            ),
          },
    ),
  }
}

/** Takes the next questions, up to a limit of values and entries. */
function nextOf(questions: readonly Read[], valueBytes: number): readonly Read[] {
  let values = Math.max(1, Math.min(MAX_VALUES, Math.floor(AT_ONCE / valueBytes)))
  let entries = MAX_ENTRIES
  const end = questions.findIndex((read, i) => {
    const isFull = i > 0 && (values <= 0 || entries <= 0)
    if ('get' in read || ('range' in read && !read.range.keysOnly)) values--
    entries -= 'get' in read ? 1 : Math.max(MIN_ENTRIES, 'range' in read ? read.range.limit : read.parts.limit)
    return isFull
  })
  return end < 0 ? questions : questions.slice(0, end)
}

/** Collects answers until there is no room left. */
interface Shelf {
  readonly answers: readonly Answer[]
  readonly isFull: boolean
  /** Takes as much of the next answer as fits. @returns whether all of it did */
  takes(answer: Answer): boolean
}

function shelfFor(known: number, most: number, valueBytes: number): Shelf {
  const answers: Answer[] = []
  const room = roomFor(most)
  // Each answer may be asked for again, and then there must be room for more: see `readInPieces`.
  const heads = { known: roomFor(0.75 * most), further: roomFor(known === 0 ? most / 2 : most / 4) }
  let isFull = false

  /** How many items fit. For the first unknown question at least one does, or a read would make no progress. */
  function count<T>(items: readonly T[], bytesOf: (item: T) => number, headOf: (item: T) => number): number {
    const isFirst = answers.length === known
    const head = answers.length < known ? heads.known : heads.further
    const end = items.findIndex((item, i) => {
      const isForced = isFirst && i === 0
      if (!isForced && lengthOf(item) > room.left) return true
      return !head.takes(headOf(item), isForced) || !room.takes(bytesOf(item), isForced)
    })
    return end < 0 ? items.length : end
  }

  /** A lower bound for the size in bytes, which is slower to count. */
  const lengthOf = (item: unknown): number => (item as Current).value?.length ?? 0

  function fit(answer: Answer): Answer | undefined {
    if (answer === null) return answer
    if ('parts' in answer) {
      const { parts } = answer
      const fitting = count(parts, bytesOfPart, (part) => headBytes({ key: part, version: '', expiresAt: null }))
      return fitting === parts.length
        ? answer
        : fitting === 0
          ? undefined
          : { parts: parts.slice(0, fitting), more: true }
    }
    const entries = 'entries' in answer ? answer.entries : [answer]
    const fitting = count(entries, bytesOf, headBytes)
    if (fitting === entries.length) return answer
    return fitting === 0 ? undefined : { entries: entries.slice(0, fitting), more: true }
  }

  const bytesOfPart = (part: string): number => QUESTION_BYTES + part.length + escapes(part)

  function bytesOf(entry: Current): number {
    const bytes = sizeOf(entry)
    if (bytes <= most || bytes - sizeOf({ ...entry, value: '' }) <= valueBytes) return bytes
    throw new HoldfastError(
      'PAYLOAD_TOO_LARGE',
      `The value under ${entry.key} is larger than the ${valueBytes} bytes that an answer may hold`,
      {
        details: { limit: 'valueBytes', most: valueBytes },
      },
    )
  }

  return {
    answers,
    get isFull() {
      return isFull
    },
    takes(answer) {
      room.takes(QUESTION_BYTES, true)
      const fitting = fit(answer)
      isFull = fitting !== answer
      if (fitting === undefined || (isFull && answers.length < known)) {
        if (answers.length < known) throw tooMuch()
        return false
      }
      answers.push(fitting)
      return !isFull
    },
  }
}

/** The bytes that an entry takes of an answer. Characters of names that JSON escapes count twice. */
const sizeOf = (entry: Current): number => entryBytes(entry) + escapes(entry.key) + escapes(entry.version)

/** The number of characters in a name that JSON escapes. */
function escapes(name: string): number {
  if (!/["\\]/.test(name)) return 0
  let count = 0
  for (let i = 0; i < name.length; i++) {
    const char = name[i]
    if (char === '"' || char === '\\') count++
  }
  return count
}

/** Lets the event loop turn if it has not done so for a while. Await the result. */
export type Turn = () => Promise<void> | undefined

/** Makes a function for one request to call between the steps of its work. */
export function turns(): Turn {
  let turnedAt = performance.now()
  return () => {
    if (performance.now() - turnedAt < MAX_TURN) return undefined
    return turned().then(() => void (turnedAt = performance.now()))
  }
}

/** The same question, for versions only. */
function withoutValues(read: Read): Read {
  if ('parts' in read) return read
  if ('range' in read) return { range: { ...read.range, keysOnly: true } }
  return { range: headOf(read.get) }
}

/** Turns a page of one entry, which replaced a get, back into the answer to the get. */
const restored = (read: Read, answer: Answer): Answer =>
  'get' in read && answer && 'entries' in answer ? (answer.entries[0] ?? null) : answer
