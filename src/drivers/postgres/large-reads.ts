/** Reads that are too large for one answer. @module */
import type { Answer, Read, ReadAnswer } from '../../core/driver.ts'
import { entryBytes } from '../../core/limits.ts'
import { readInPieces } from '../shared/split-reads.ts'
import { readAnswers } from './answers.ts'
import type { Row } from './handle.ts'
import { LIMITS, encodeRead, encodeReads } from './requests.ts'

/** Sends encoded questions to `holdfast_read` and resolves with its rows. */
export type Ask = (questions: string) => Promise<readonly Row[]>

/** The bytes that pages take of the room they share. */
const pageBytes = (answers: readonly Answer[]): number =>
  answers.reduce((sum, answer) => {
    if (answer === null || !('more' in answer)) return sum
    const entries =
      'parts' in answer ? answer.parts.map((key) => ({ key, version: '', expiresAt: null })) : answer.entries
    return entries.reduce((all, entry) => all + entryBytes(entry), sum)
  }, 0)

/** Reads in as many requests as the size of the answers needs, all of the same moment; see {@link readInPieces}. */
export function readAll(reads: readonly Read[], ask: Ask): Promise<ReadAnswer> {
  let before: readonly Answer[] = []
  return readInPieces(reads, async (asked, known) => {
    const questions = asked.map((read, i) => encodeRead(read, i < known))
    const room = Math.max(0, LIMITS.answerBytes - pageBytes(before.slice(0, known)))
    const found = readAnswers(asked, await ask(encodeReads(questions, room)))
    before = [...before.slice(0, known), ...found.answers.slice(known)]
    return found
  })
}
