/** Answers of bounded size: what does not fit is put off or left out, and is not loaded either. @module */
import type { Answer, CallOptions, CommitAnswer, Current, Driver, Outcome, Read, ReadAnswer } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { behind } from '../core/keys.ts'
import { entryBytes, roomFor } from '../core/limits.ts'
import { MAX_RESTARTS, askAgain, confirm, headBytes, tooFast, tooMuch } from '../drivers/shared/split-reads.ts'

/** Values that a driver is asked for at once, in bytes: pages are bounded by it, gets are not. */
const AT_ONCE = 2 ** 24
/** Values asked for at once, and entries: what a driver in this process reads while the event loop stands still. */
const MOST_VALUES = 16
const MOST_ENTRIES = 4096
/** What a page counts at least: a driver may pass by many expired entries to find a few. */
const LEAST_ENTRIES = 128
/** What an answer is charged for each question, in bytes: what stands around a page. */
const QUESTION_BYTES = 32
/** The longest that drivers in this process may keep the event loop from turning, in milliseconds. */
const MAX_TURN = 10

/** Options of {@link readWithin}. */
export interface ReadWithinOptions extends CallOptions {
  /** Of so many questions, the first, the values are left out. */
  readonly known: number
  /** The most that the answers may hold, in bytes; no more than the driver gives at once, as all are compared at the end. */
  readonly most: number
  /** The longest value that is given, in bytes, also where the answers are to hold less. */
  readonly valueBytes: number
  /** See {@link turns}. */
  readonly turn: Turn
}

/**
 * Answers as many of the first questions as fit, from one view.
 *
 * A driver bounds its pages, but answers every get: nobody knows how long a value is before it is there. So it is asked a
 * few questions after the other until there are enough answers, and at the end whether all of them are still the same:
 * then they are what one view of that moment shows.
 *
 * @returns the answers of all that are known and of one question more at least; a page may be shorter than asked for
 * @throws `UNAVAILABLE` where what is asked for changes faster than it can be read, `PAYLOAD_TOO_LARGE` where the known
 *   answers fill the room, or an entry is longer than may be given
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
    // Where nothing is asked, the clock is.
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
 * Leaves out the values of failed checks that an answer has no room for, should the driver have more of it.
 *
 * @param most - the most that the answer may hold, in bytes
 */
export function commitWithin(answer: CommitAnswer, most: number): CommitAnswer {
  const room = roomFor(most)
  const bounded = (current: Current): Current => {
    if (current.value === undefined) return current
    // Long text that does not fit is not measured.
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

/** The next questions, for a few values and entries altogether. */
function nextOf(questions: readonly Read[], valueBytes: number): readonly Read[] {
  let values = Math.max(1, Math.min(MOST_VALUES, Math.floor(AT_ONCE / valueBytes)))
  let entries = MOST_ENTRIES
  const end = questions.findIndex((read, i) => {
    const isFull = i > 0 && (values <= 0 || entries <= 0)
    if ('get' in read || ('range' in read && !read.range.keysOnly)) values--
    entries -= 'get' in read ? 1 : Math.max(LEAST_ENTRIES, 'range' in read ? read.range.limit : read.parts.limit)
    return isFull
  })
  return end < 0 ? questions : questions.slice(0, end)
}

/** Answers that are gathered until there is no room. */
interface Shelf {
  readonly answers: readonly Answer[]
  readonly isFull: boolean
  /** Takes what fits of the answer to the next question; tells whether it was all. */
  takes(answer: Answer): boolean
}

function shelfFor(known: number, most: number, valueBytes: number): Shelf {
  const answers: Answer[] = []
  const room = roomFor(most)
  // Whatever is answered may be asked for again, and then there has to be room for more: see `readInPieces`.
  const heads = { known: roomFor(0.75 * most), further: roomFor(known === 0 ? most / 2 : most / 4) }
  let isFull = false

  /** How many of these fit: of the first question that is not known one does, or nobody would get any further. */
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

  /** At most as many as its bytes, which take longer to count. */
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
    throw new HoldfastError('PAYLOAD_TOO_LARGE', `The value under ${entry.key} is too large for an answer`, {
      details: { limit: 'valueBytes', most: valueBytes },
    })
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

/** What an entry takes of an answer: what JSON escapes in its names counts twice. */
const sizeOf = (entry: Current): number => entryBytes(entry) + escapes(entry.key) + escapes(entry.version)

/** How many characters of a name JSON escapes. */
function escapes(name: string): number {
  if (!/["\\]/.test(name)) return 0
  let count = 0
  for (let i = 0; i < name.length; i++) {
    const char = name[i]
    if (char === '"' || char === '\\') count++
  }
  return count
}

/** Lets the event loop turn where that has not happened for a while: what comes of it is to be awaited. */
export type Turn = () => Promise<void> | undefined

/** Makes what one request calls between two steps of its work. */
export function turns(): Turn {
  let turnedAt = performance.now()
  return () => {
    if (performance.now() - turnedAt < MAX_TURN) return undefined
    return new Promise((resolve) => {
      const turned = (): void => {
        turnedAt = performance.now()
        resolve()
      }
      ;(globalThis.setImmediate ?? setTimeout)(turned)
    })
  }
}

/** The same question for versions only. */
function withoutValues(read: Read): Read {
  if ('parts' in read) return read
  if ('range' in read) return { range: { ...read.range, keysOnly: true } }
  const { part, key } = read.get
  return { range: { part, start: key, end: behind(key), limit: 1, keysOnly: true } }
}

/** What was asked as a page of one entry, as the answer to a get. */
const restored = (read: Read, answer: Answer): Answer =>
  'get' in read && answer && 'entries' in answer ? (answer.entries[0] ?? null) : answer
