/** What one answer cannot hold, asked for in several. @module */
import type { Entry, FailedCheck, Key, Outcome, Read, ReadAnswer } from '../../core/driver.ts'
import { readInPieces } from '../../core/pieces.ts'
import { type CommitRows, readAnswers } from './answers.ts'
import type { Row } from './handle.ts'
import { encodeRead, encodeReads } from './requests.ts'

/** Sends questions, encoded, to `holdfast_read`, and resolves with its rows. */
export type Ask = (questions: string) => Promise<readonly Row[]>

/** Asks in as many requests as the size of the answers wants, for answers of one moment; see {@link readInPieces}. */
export const readAll = (reads: readonly Read[], ask: Ask): Promise<ReadAnswer> =>
  readInPieces(reads, async (asked, known) =>
    readAnswers(asked, await ask(encodeReads(asked.map((read, i) => encodeRead(read, i < known))))),
  )

/**
 * The outcomes with what their answer left out. It is read behind the commit: an entry that is another one by then is
 * shown as it is.
 *
 * @param keyOf - the entry that a check of a commit, both by their index, looks at
 */
export async function completed(
  { outcomes, incomplete }: CommitRows,
  keyOf: (commit: number, check: number) => Key,
  ask: Ask,
): Promise<readonly Outcome[]> {
  const completed = outcomes.map((outcome) => (outcome.ok ? outcome : { ...outcome, failed: [...outcome.failed] }))
  const failedOf = (commit: number): FailedCheck[] => {
    const outcome = completed[commit]!
    return outcome.ok ? [] : outcome.failed
  }
  const questions = incomplete.map(({ commit, failed }) => ({ get: keyOf(commit, failedOf(commit)[failed]!.check) }))
  for (let from = 0; from < questions.length;) {
    const rest = questions.slice(from)
    const rows = await ask(encodeReads(rest.map((read) => encodeRead(read))))
    for (const answer of readAnswers(rest, rows).answers) {
      const { commit, failed } = incomplete[from++]!
      failedOf(commit)[failed] = { check: failedOf(commit)[failed]!.check, current: answer as Entry | null }
    }
  }
  return completed
}
