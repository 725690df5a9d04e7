/** A request inside a transaction, for every synchronous SQLite engine. @module */
import { type Records, applyCommits, applyRequest } from '../shared/evaluate.ts'
import type { CommitRequest, Outcome } from '../../core/driver.ts'
import type { RequestRecord } from '../../core/request-records.ts'
import type { RowTransaction } from './rows.ts'
import type { Statements } from './statements.ts'

/** Records of requests as rows. */
const recordsIn = ({ findRequest, keepRequest }: Statements): Records => ({
  find(id) {
    const row = findRequest.get(id)
    return row && { record: JSON.parse(row[0] as string) as RequestRecord, until: Number(row[1]) }
  },
  keep: (id, record, until) => void keepRequest.run(id, JSON.stringify(record), until),
})

/**
 * Applies a request inside a transaction.
 *
 * @param now - the clock, in milliseconds since 1970
 * @param window - how long a repeat is recognised, in milliseconds; 0 turns this off
 * @param answerBytes - the most bytes in the answer
 * @throws errors of `applyRequest` in the core
 */
export function applyIn(
  request: CommitRequest,
  statements: Statements,
  tx: RowTransaction,
  now: number,
  window: number,
  answerBytes: number,
): readonly Outcome[] {
  tx.begin()
  if (window === 0) return applyCommits(request.commits, tx, now, answerBytes)
  return applyRequest(request, recordsIn(statements), tx, now, window, answerBytes)
}
