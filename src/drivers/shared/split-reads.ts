/** Reads that are too large for one answer: several requests whose answers form one consistent view. @module */
import type { Answer, Current, Entry, EntryPage, PartPage, Read, ReadAnswer } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { entryBytes, roomFor, takesEntry } from '../../core/limits.ts'

/** How often a read in several pieces is restarted because something changed meanwhile. */
export const MAX_RESTARTS = 8

/**
 * Sends one request.
 *
 * @param known - the number of leading questions that are only asked again to confirm their answers; values may be left
 *   out
 * @returns the answers to the first questions, as many as fit
 */
export type AskPiece = (reads: readonly Read[], known: number) => Promise<ReadAnswer>

/** The least bytes counted for an entry that is asked for again: many small ones take time too. */
const HEAD_BYTES = 512

/** The bytes counted for an entry that is asked for again without its value. */
export const headBytes = (entry: Current): number => Math.max(HEAD_BYTES, entryBytes({ ...entry, value: '' }))

/**
 * Sends as many requests as the size of the answers needs. Each request asks again for the earlier answers, without
 * values, so that all answers are of the same moment. If something has changed, the read starts over.
 *
 * @param answerBytes - the size that all pages share: they are cut to it, but the first entry of each is kept
 * @throws `PAYLOAD_TOO_LARGE` if the answers so far leave no room for another; `UNAVAILABLE` if the data changes faster
 *   than it can be read
 */
export async function readInPieces(
  reads: readonly Read[],
  ask: AskPiece,
  answerBytes: number = Infinity,
): Promise<ReadAnswer> {
  let before: readonly Answer[] = []
  for (let restarts = 0; restarts < MAX_RESTARTS;) {
    // Keeps room for confirming the answers so far and for the first entries of all other pages.
    const isFull = sizeOfPages(before) >= answerBytes / 4
    const asked = reads.map((read, i) =>
      i < before.length ? askAgain(read, before[i]!) : isFull ? shortened(read) : read,
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

/** The size of all pages: the bytes counted for asking again, or for the entries with values if that is more. */
function sizeOfPages(answers: readonly Answer[]): number {
  let sum = 0
  for (const answer of answers) {
    if (!answer || 'version' in answer) continue
    if ('parts' in answer) sum += HEAD_BYTES * answer.parts.length
    else for (const entry of answer.entries) sum += Math.max(entryBytes(entry), HEAD_BYTES)
  }
  return sum
}

/** The same question with a page of one entry. */
const shortened = (read: Read): Read =>
  'range' in read
    ? { range: { ...read.range, limit: 1 } }
    : 'parts' in read
      ? { parts: { ...read.parts, limit: 1 } }
      : read

/** Cuts pages to the size that they share. */
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

/** The same question, limited to the number of entries answered before. */
export const askAgain = (read: Read, answer: Answer): Read =>
  'range' in read
    ? { range: { ...read.range, limit: Math.max(1, (answer as EntryPage).entries.length) } }
    : 'parts' in read
      ? { parts: { ...read.parts, limit: Math.max(1, (answer as PartPage).parts.length) } }
      : read

/**
 * Compares earlier answers with those of a later moment.
 *
 * @param now - the later answers to the same questions, with or without values; anything after the earlier pages is
 *   ignored
 * @returns the earlier answers, valid at the later moment, or `undefined` if something has changed
 */
export function confirm(before: readonly Answer[], now: readonly Answer[]): readonly Answer[] | undefined {
  if (!before.every((answer, i) => isSame(answer, now[i]!))) return undefined
  // Changes after the end of a page do not change its content, only `more`.
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

/** Makes the error for a read that changes interrupted at every attempt. */
export const tooFast = (): HoldfastError =>
  new HoldfastError('UNAVAILABLE', 'The entries change faster than they can be read; ask for less at once', {
    retryable: true,
  })

/** Makes the error for answers that leave no room for another. */
export const tooMuch = (): HoldfastError =>
  new HoldfastError('PAYLOAD_TOO_LARGE', 'The answers are too large for one consistent view; ask for less at once')
