/** Claims a run, or waits until its claim is free. @module */
import { bell } from '../core/bell.ts'
import { innerOf } from '../core/database.ts'
import { type TenantParts } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { type RunRecords } from '../runs/record.ts'
import { isTerminal } from '../runs/status.ts'
import type { Claim } from '../stores/claims/store.ts'
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
  parts: TenantParts,
  runs: RunRecords,
  runId: string,
  settings: Settings,
): Promise<Claim | 'ended' | Extract<RunOutcome<never>, { readonly status: 'busy' }>> {
  const { claims, workflows } = holdfast
  const db = innerOf(holdfast.db)
  const { workerId, lease, maxWait, signal } = settings
  const part = parts.run(runId)
  const { ring, silence, wait } = bell()
  const unwatch = db.watch((it) => it === part, ring)
  const unlisten = runs.listen(runId, ring)
  let end: number | undefined
  try {
    for (;;) {
      silence()
      const takeBackBefore = settings.takeBackBefore()
      const claim = await claims.claimTask({ runId, workerId, ttl: lease, deliver: true, takeBackBefore }, { signal })
      if (claim) return claim
      const [held, run] = await Promise.all([claims.getClaim(runId, { signal }), workflows.getRun(runId, { signal })])
      if (!run || isTerminal(run.status)) return 'ended'
      const now = db.now()
      end ??= now + maxWait
      if (!held && now < end) continue
      if (now >= end) return { status: 'busy', ...(held && { by: held.workerId, until: held.expiresAt }) }
      await wait(Math.max(Math.min((held?.expiresAt ?? Infinity) - now + 1, end - now, POLL), 1), signal)
    }
  } finally {
    unwatch()
    unlisten()
  }
}
