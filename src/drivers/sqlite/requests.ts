/** A request inside a transaction, for every synchronous SQLite engine. @module */
import { type Records, applyCommits, applyRequest } from '../shared/evaluate.ts'
import type { CommitRequest, Outcome } from '../../core/driver.ts'
import type { RequestRecord } from '../../core/requests.ts'
import { SWEEP, sweeps } from '../shared/sweeps.ts'
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

/**
 * Creates a function that deletes expired rows now and then, at least as many as are written, so that they do not pile
 * up.
 *
 * @param window - how long a repeat is recognised, in milliseconds; records stay for as long again
 * @returns a function to call in the transaction of each request, with the clock and the number of rows written
 */
export function sweeper(
  { sweepEntries, sweepRequests }: Statements,
  window: number,
): (now: number, writes: number) => void {
  const swept = sweeps()
  return (now, writes) => {
    const most = swept.most(now, writes)
    if (most === 0) return
    const found = Number(sweepEntries.run(now, most).changes)
    const foundRequests = window > 0 ? Number(sweepRequests.run(now - window, SWEEP).changes) : 0
    if (foundRequests < SWEEP) swept.found(now, found, most)
  }
}
