/** Deletes expired rows, for every synchronous SQLite engine. @module */
import { SWEEP, sweeps } from '../shared/sweep-schedule.ts'
import type { Statements } from './statements.ts'

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
