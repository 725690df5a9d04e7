/** What one answer cannot hold, asked for in several that are those of one moment all the same. @module */
import type { Answer, Entry, EntryPage, PartPage, Read, ReadAnswer } from './driver.ts'
import { HoldfastError } from './errors.ts'

/** How often an answer in several pieces is begun again because something changed in between. */
export const MOST_RESTARTS = 8

/**
 * Asks once.
 *
 * @param known - so many of the first questions are only asked for what they find; the values may be left out
 * @returns the answers of the first questions, as many as fit
 */
export type AskPiece = (reads: readonly Read[], known: number) => Promise<ReadAnswer>

/**
 * Asks in as many requests as the size of the answers wants. What was answered before is asked for again without its
 * values, so that all answers are those of the last moment; where something has changed, all of it begins again.
 *
 * @throws `PAYLOAD_TOO_LARGE` where the questions leave no room for another answer; `UNAVAILABLE` where what they ask
 *   for changes faster than it can be read
 */
export async function readInPieces(reads: readonly Read[], ask: AskPiece): Promise<ReadAnswer> {
  let before: readonly Answer[] = []
  for (let restarts = 0; restarts < MOST_RESTARTS;) {
    const asked = reads.map((read, i) => (i < before.length ? again(read, before[i]!) : read))
    const { now, answers } = await ask(asked, before.length)
    if (answers.length <= before.length && before.length < reads.length) throw tooMuch()
    const confirmed = confirm(before, answers)
    if (confirmed) {
      before = [...confirmed, ...answers.slice(before.length)]
      if (before.length === reads.length) return { now, answers: before }
    } else {
      before = []
      restarts++
    }
  }
  throw tooFast()
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
  if ('parts' in before) return 'parts' in now && before.parts.join() === now.parts.join()
  if ('entries' in before) return 'entries' in now && versions(before.entries) === versions(now.entries)
  return 'version' in now && before.version === now.version
}

const versions = (entries: readonly Entry[]): string =>
  entries.map(({ key, version }) => `${key}\n${version}`).join('\n')

/** What is thrown where all attempts to see one moment have failed. */
export const tooFast = (): HoldfastError =>
  new HoldfastError('UNAVAILABLE', 'The entries change faster than they can be read; ask for less at once', {
    retryable: true,
  })

/** What is thrown where the answers that are there already leave no room for another. */
export const tooMuch = (): HoldfastError =>
  new HoldfastError('PAYLOAD_TOO_LARGE', 'The answers are too large for one view of all of them; ask for less at once')
