/** What one answer cannot hold, asked for in several that are those of one moment all the same. @module */
import type { Answer, Current, Entry, EntryPage, PartPage, Read, ReadAnswer } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { entryBytes, roomFor, takesEntry } from '../../core/limits.ts'

/** How often an answer in several pieces is begun again because something changed in between. */
export const MOST_RESTARTS = 8

/**
 * Asks once.
 *
 * @param known - so many of the first questions are only asked for what they find; the values may be left out
 * @returns the answers of the first questions, as many as fit
 */
export type AskPiece = (reads: readonly Read[], known: number) => Promise<ReadAnswer>

/** What an entry is charged at least where its key and version are asked for again: many small ones take time, too. */
const HEAD_BYTES = 512

/** What an entry without its value is charged where it is asked for again, in bytes. */
export const headBytes = (entry: Current): number => Math.max(HEAD_BYTES, entryBytes({ ...entry, value: '' }))

/**
 * Asks in as many requests as the size of the answers wants. What was answered before is asked for again without its
 * values, so that all answers are those of the last moment; where something has changed, all of it begins again.
 *
 * @param answerBytes - the size that all pages share: what is beyond it is cut, but for the first entry of each
 * @throws `PAYLOAD_TOO_LARGE` where the questions leave no room for another answer; `UNAVAILABLE` where what they ask
 *   for changes faster than it can be read
 */
export async function readInPieces(
  reads: readonly Read[],
  ask: AskPiece,
  answerBytes: number = Infinity,
): Promise<ReadAnswer> {
  let before: readonly Answer[] = []
  for (let restarts = 0; restarts < MOST_RESTARTS;) {
    // As long as what was found can be asked for again, and the heads of all other pages besides.
    const isFull = sizeOfPages(before) >= answerBytes / 4
    const asked = reads.map((read, i) =>
      i < before.length ? again(read, before[i]!) : isFull ? shortened(read) : read,
    )
    const { now, answers } = await ask(asked, before.length)
    if (answers.length <= before.length && before.length < reads.length) throw tooMuch()
    const confirmed = confirm(before, answers)
    if (confirmed) {
      before = [...confirmed, ...answers.slice(before.length)]
      if (before.length === reads.length) return { now, answers: cut(before, answerBytes) }
    } else {
      before = []
      restarts++
    }
  }
  throw tooFast()
}

/** Of all pages, as they are charged where they are asked for again, or with their values. */
function sizeOfPages(answers: readonly Answer[]): number {
  let sum = 0
  for (const answer of answers) {
    if (!answer || 'version' in answer) continue
    if ('parts' in answer) sum += HEAD_BYTES * answer.parts.length
    else for (const entry of answer.entries) sum += Math.max(entryBytes(entry), HEAD_BYTES)
  }
  return sum
}

/** The same question, for the shortest page. */
const shortened = (read: Read): Read =>
  'range' in read
    ? { range: { ...read.range, limit: 1 } }
    : 'parts' in read
      ? { parts: { ...read.parts, limit: 1 } }
      : read

/** Cuts pages to what they share. */
function cut(answers: readonly Answer[], answerBytes: number): readonly Answer[] {
  if (answerBytes === Infinity) return answers
  const room = roomFor(answerBytes)
  return answers.map((answer) => {
    if (!answer || !('entries' in answer)) return answer
    const { entries } = answer
    const end = entries.findIndex((entry, i) => !takesEntry(room, entry, i === 0))
    return end < 0 ? answer : { entries: entries.slice(0, end), more: true }
  })
}

/** The same question, for as much of its answer as there was. */
export const again = (read: Read, answer: Answer): Read =>
  'range' in read
    ? { range: { ...read.range, limit: Math.max(1, (answer as EntryPage).entries.length) } }
    : 'parts' in read
      ? { parts: { ...read.parts, limit: Math.max(1, (answer as PartPage).parts.length) } }
      : read

/**
 * Compares answers with those of a later moment.
 *
 * @param now - what the same questions found, with or without values; what follows behind them is not looked at
 * @returns the answers as those of that moment, or `undefined` where they are none of it
 */
export function confirm(before: readonly Answer[], now: readonly Answer[]): readonly Answer[] | undefined {
  if (!before.every((answer, i) => isSame(answer, now[i]!))) return undefined
  // What came or went behind a page changes nothing of what it holds.
  return before.map((answer, i) =>
    answer && 'more' in answer ? { ...answer, more: (now[i] as EntryPage).more } : answer,
  )
}

function isSame(before: Answer, now: Answer): boolean {
  if (before === null || now === null) return before === now
  if ('parts' in before)
    return (
      'parts' in now &&
      before.parts.length === now.parts.length &&
      before.parts.every((part, i) => part === now.parts[i])
    )
  if ('entries' in before) return 'entries' in now && areSame(before.entries, now.entries)
  return 'version' in now && before.version === now.version
}

const areSame = (before: readonly Entry[], now: readonly Entry[]): boolean =>
  before.length === now.length &&
  before.every(({ key, version }, i) => key === now[i]!.key && version === now[i]!.version)

/** What is thrown where all attempts to see one moment have failed. */
export const tooFast = (): HoldfastError =>
  new HoldfastError('UNAVAILABLE', 'The entries change faster than they can be read; ask for less at once', {
    retryable: true,
  })

/** What is thrown where the answers that are there already leave no room for another. */
export const tooMuch = (): HoldfastError =>
  new HoldfastError('PAYLOAD_TOO_LARGE', 'The answers are too large for one view of all of them; ask for less at once')
