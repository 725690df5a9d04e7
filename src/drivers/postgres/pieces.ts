/** What one answer cannot hold, asked for in several. @module */
import type { Answer, Read, ReadAnswer } from '../../core/driver.ts'
import { entryBytes } from '../../core/limits.ts'
import { readInPieces } from '../shared/split-reads.ts'
import { readAnswers } from './answers.ts'
import type { Row } from './handle.ts'
import { LIMITS, encodeRead, encodeReads } from './requests.ts'

/** Sends questions, encoded, to `holdfast_read`, and resolves with its rows. */
export type Ask = (questions: string) => Promise<readonly Row[]>

/** What the pages among the answers take of their common room. */
const pageBytes = (answers: readonly Answer[]): number =>
  answers.reduce((sum, answer) => {
    if (answer === null || !('more' in answer)) return sum
    const entries =
      'parts' in answer ? answer.parts.map((key) => ({ key, version: '', expiresAt: null })) : answer.entries
    return entries.reduce((all, entry) => all + entryBytes(entry), sum)
  }, 0)

/** Asks in as many requests as the size of the answers wants, for answers of one moment; see {@link readInPieces}. */
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
