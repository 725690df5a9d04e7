/** A request inside of a transaction, the same for every SQLite that is called synchronously. @module */
import { type RequestRecord, applyCommits, recordOf, replay } from '../../core/apply.ts'
import type { CommitRequest, Outcome } from '../../core/driver.ts'
import { SWEEP, sweeps } from '../../core/sweeps.ts'
import type { RowTransaction } from './rows.ts'
import type { Statements } from './statements.ts'

/**
 * Applies the commits of a request that was not seen before, and answers a repeated one.
 *
 * @param now - the clock, in milliseconds since 1970
 * @param replayWindow - how long a repetition is recognised, in milliseconds; 0: not at all
 */
export function applyRequest(
  { id, commits }: CommitRequest,
  statements: Statements,
  tx: RowTransaction,
  now: number,
  replayWindow: number,
): readonly Outcome[] {
  tx.begin()
  if (replayWindow === 0) return applyCommits(commits, tx, now)
  const kept = statements.findRequest.get(id, now)
  if (kept !== undefined) return replay({ id, commits }, JSON.parse(kept[0] as string) as RequestRecord, tx, now)
  const outcomes = applyCommits(commits, tx, now)
  const record = recordOf(outcomes)
  if (record !== undefined) statements.keepRequest.run(id, JSON.stringify(record), now + replayWindow)
  return outcomes
}

/**
 * Makes what takes away expired rows, now and then, as many as are written at least: otherwise they would pile up.
 *
 * @param hasRequests - whether records of requests are kept
 * @returns to be called in the transaction of each request, with the clock and how much the request writes
 */
export function sweeper(
  { sweepEntries, sweepRequests }: Statements,
  hasRequests: boolean,
): (now: number, writes: number) => void {
  const swept = sweeps()
  return (now, writes) => {
    const most = swept.most(now, writes)
    if (most === 0) return
    const found = Number(sweepEntries.run(now, most).changes)
    const foundRequests = hasRequests ? Number(sweepRequests.run(now, SWEEP).changes) : 0
    if (foundRequests < SWEEP) swept.found(now, found, most)
  }
}
