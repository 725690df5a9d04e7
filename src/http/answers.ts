/** Answers of bounded size: what does not fit is put off, and is not loaded either. @module */
import type { Answer, CallOptions, Driver, Entry, EntryPage, Range, Read, ReadAnswer } from '../core/driver.ts'
import { behind, utf8Bytes } from '../core/keys.ts'
import { MOST_RESTARTS, again, confirm, tooFast } from '../core/pieces.ts'

/** What is asked of a driver at once: so many entries of any size are held besides those that fit. */
const AT_ONCE = 16

/** Options of {@link readWithin}. */
export interface ReadWithinOptions extends CallOptions {
  /** Of so many questions, the first, the values are left out. */
  readonly known: number
  /** The most that the answers may hold, in bytes of keys and values. */
  readonly most: number
}

/**
 * Answers as many of the first questions as fit, from one view.
 *
 * Nobody knows how long a value is before it is there. So a driver is asked for a few entries after the other, until
 * there are enough, and at the end whether all of them are still the same: then they are what one view of that moment
 * shows. A driver over a network bounds pages by itself, and is asked for whole ones.
 *
 * @returns the answers of all that are known and of one question more at least; a page may be shorter than asked for
 * @throws `UNAVAILABLE` where what is asked for changes faster than it can be read
 */
export async function readWithin(
  driver: Driver,
  reads: readonly Read[],
  { known, most, ...options }: ReadWithinOptions,
): Promise<ReadAnswer> {
  const questions = reads.map((read, i) => (i < known ? withoutValues(read) : read))
  for (let restarts = 0; restarts < MOST_RESTARTS; restarts++) {
    const { now, answers, isWhole } = await collect(driver, questions, known, most, options)
    if (isWhole) return { now, answers: answers.map((answer, i) => restored(reads[i]!, answer)) }
    const asked = answers.map((answer, i) => withoutValues(again(questions[i]!, answer)))
    const last = await driver.read(asked, options)
    const confirmed = confirm(
      answers.map((answer, i) => restored(reads[i]!, answer)),
      last.answers.map((answer, i) => restored(reads[i]!, answer)),
    )
    if (confirmed) return { now: last.now, answers: confirmed }
  }
  throw tooFast()
}

interface Collected extends ReadAnswer {
  /** They come from one request, and so from one view. */
  readonly isWhole: boolean
}

async function collect(
  driver: Driver,
  questions: readonly Read[],
  known: number,
  most: number,
  options: CallOptions,
): Promise<Collected> {
  const answers: Answer[] = []
  let left = most
  /** The page that is being filled. */
  let begun: readonly Entry[] = []
  for (let requests = 1; ; requests++) {
    const asked = nextOf(questions.slice(answers.length), begun, !driver.capabilities.network)
    const found = await driver.read(asked, options)
    const isWhole = requests === 1
    for (const [i, read] of asked.entries()) {
      const answer = found.answers[i]!
      const isKnown = answers.length < known
      // One more has to come, or nobody would get any further.
      const isFirst = answers.length === known && begun.length === 0
      const fitting = fit(answer, isKnown ? Infinity : left, isFirst)
      if (fitting === undefined && begun.length === 0) return { now: found.now, answers, isWhole }
      if (!isKnown && fitting) left -= sizeOf(fitting)
      const page = fitting === undefined ? { entries: begun, more: true } : joined(begun, fitting)
      if (fitting === answer && goesOn(questions[answers.length]!, read, begun, page)) {
        begun = (page as EntryPage).entries
        continue
      }
      answers.push(page)
      begun = []
      if (fitting !== answer) return { now: found.now, answers, isWhole }
    }
    if (answers.length === questions.length) return { now: found.now, answers, isWhole }
  }
}

/**
 * The next questions, for a few entries altogether.
 *
 * @param begun - what is there of the first one's page
 * @param isPaged - whether pages are taken in pieces, too
 */
function nextOf(questions: readonly Read[], begun: readonly Entry[], isPaged: boolean): readonly Read[] {
  const next: Read[] = []
  let room = AT_ONCE
  for (const read of questions) {
    if (room === 0) break
    if (isPaged && 'range' in read && !read.range.keysOnly) {
      const { range } = next.length === 0 ? restOf(read, begun) : read
      const limit = Math.min(range.limit, room)
      next.push({ range: { ...range, limit } })
      room -= limit
    } else {
      next.push(read)
      room--
    }
  }
  return next
}

/** The rest of a page. */
function restOf({ range }: { range: Range }, begun: readonly Entry[]): { range: Range } {
  const last = begun.at(-1)?.key
  if (last === undefined) return { range }
  const bound = range.reverse ? { end: last } : { start: behind(last) }
  return { range: { ...range, ...bound, limit: range.limit - begun.length } }
}

const joined = (begun: readonly Entry[], answer: Answer): Answer =>
  begun.length > 0 && answer && 'entries' in answer ? { ...answer, entries: [...begun, ...answer.entries] } : answer

/** Whether a page was cut here, and not by its driver. */
const goesOn = (question: Read, asked: Read, begun: readonly Entry[], page: Answer): boolean =>
  'range' in question &&
  'range' in asked &&
  (page as EntryPage).more &&
  (page as EntryPage).entries.length < question.range.limit &&
  (page as EntryPage).entries.length === begun.length + asked.range.limit

/** As much of an answer as fits; `undefined` where nothing does, unless it is the first, of which an entry always does. */
function fit(answer: Answer, most: number, isFirst: boolean): Answer | undefined {
  if (!answer || !('entries' in answer)) return isFirst || sizeOf(answer) <= most ? answer : undefined
  let left = most
  const over = answer.entries.findIndex((entry, i) => (left -= sizeOfEntry(entry)) < 0 && !(isFirst && i === 0))
  if (over < 0) return answer
  return over === 0 ? undefined : { entries: answer.entries.slice(0, over), more: true }
}

function sizeOf(answer: Answer): number {
  if (!answer) return 0
  if ('parts' in answer) return answer.parts.reduce((sum, part) => sum + part.length, 0)
  if ('entries' in answer) return answer.entries.reduce((sum, entry) => sum + sizeOfEntry(entry), 0)
  return sizeOfEntry(answer)
}

const sizeOfEntry = ({ key, version, value }: Entry): number =>
  key.length + version.length + (typeof value === 'string' ? utf8Bytes(value) : value.length)

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
