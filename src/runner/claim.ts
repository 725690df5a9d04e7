/** Claims a run, or waits until its claim is free. @module */
import { innerOf } from '../core/database.ts'
import type { Holdfast } from '../holdfast.ts'
import { isTerminal } from '../runs/status.ts'
import type { Claim } from '../stores/claims/store.ts'
import { earFor } from './listen.ts'
import type { Settings } from './settings.ts'
import type { RunOutcome } from './types.ts'

/** How often to read a claim that another worker has, in milliseconds. */
const POLL = 1000

/**
 * Claims a run, and counts the delivery.
 *
 * @returns the claim; `ended` if the run has ended or was deleted; `busy`, with the holder of the claim, if `maxWait` was
 *   over first
 * @throws `NOT_FOUND` if the run does not exist; `ABORTED` by the signal
 */
export async function claimRun(
  holdfast: Holdfast,
  runId: string,
  settings: Settings,
): Promise<Claim | 'ended' | Extract<RunOutcome<never>, { readonly status: 'busy' }>> {
  const { claims, workflows } = holdfast
  const db = innerOf(holdfast.db)
  const { workerId, lease, maxWait, signal } = settings
  const ear = earFor(holdfast, runId)
  let end: number | undefined
  try {
    for (;;) {
      ear.silence()
      const takeBackBefore = settings.takeBackBefore()
      const claim = await claims.claimTask({ runId, workerId, ttl: lease, deliver: true, takeBackBefore }, { signal })
      if (claim) return claim
      const [held, run] = await Promise.all([claims.getClaim(runId, { signal }), workflows.getRun(runId, { signal })])
      if (!run || isTerminal(run.status)) return 'ended'
      const now = db.now()
      end ??= now + maxWait
      if (!held && now < end) continue
      if (now >= end) return { status: 'busy', ...(held && { by: held.workerId, until: held.expiresAt }) }
      await ear.wait(Math.max(Math.min((held?.expiresAt ?? Infinity) - now + 1, end - now, POLL), 1), signal)
    }
  } finally {
    ear.stop()
  }
}
