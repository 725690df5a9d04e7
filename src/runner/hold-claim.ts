/** Holds a run: extends its claim, and looks for requests to stop. @module */
import { sleep } from '../core/abort.ts'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { RUN, type TenantParts } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims/store.ts'
import { pendingSignal } from '../runs/indexes.ts'
import { type RunRecords, decodeRun } from '../runs/record.ts'
import type { SignalKind } from '../runs/state.ts'

/** After this many failed heartbeats in a row the claim counts as lost. It expires one heartbeat later. */
export const MAX_MISSED = 3
/** How long to collect announcements before reading, in milliseconds. A commit in that time also reports the signal. */
const BURST = 20

/** Options of {@link hold}. */
export interface HoldOptions {
  readonly holdfast: Holdfast
  readonly parts: TenantParts
  readonly runs: RunRecords
  readonly claim: Claim
  /** How long each extension lasts, in milliseconds. */
  readonly lease: number
  /** The time between two heartbeats, in milliseconds. */
  readonly beat: number
  /** Ends the holding. */
  readonly over: AbortSignal
  /** When a commit of this process last reported the signal, by `performance.now()`. */
  toldAt(): number
  onSignal(pending: SignalKind | undefined): void
  /** Called when the run may have changed. */
  onHint(): void
}

/**
 * Extends the claim and looks for signals at every heartbeat. Signals from this process, and those that the backend
 * announces, are seen at once.
 *
 * @returns a promise that rejects with `CLAIM_LOST` when the claim is lost
 */
export function hold(options: HoldOptions): Promise<never> {
  const { holdfast, parts, runs, claim, over, toldAt, onSignal, onHint } = options
  const { db } = holdfast
  const { runId } = claim
  const part = parts.run(runId)
  let looksAt: Promise<void> | undefined

  async function look(): Promise<void> {
    const [record] = await db.read([{ get: { part, key: RUN } }])
    if (!over.aborted && record) onSignal(pendingSignal(decodeRun(record.value)).signal)
  }
  const unlisten = runs.listen(runId, (run) => {
    if (run) onSignal(pendingSignal(run).signal)
    onHint()
  })
  const unwatch = db.watch(
    (it) => it === part,
    () => {
      onHint()
      const hintedAt = performance.now()
      looksAt ??= sleep(BURST, over)
        .then(() => {
          looksAt = undefined
          return over.aborted || toldAt() >= hintedAt ? undefined : look()
        })
        // The next heartbeat reports a failing backend.
        .catch(() => {
          looksAt = undefined
        })
    },
  )
  over.addEventListener('abort', () => {
    unlisten()
    unwatch()
  })

  async function beats(): Promise<never> {
    for (let missed = 0; ;) {
      await sleep(options.beat, over).catch(() => new Promise(() => {}))
      try {
        await Promise.all([holdfast.claims.extendTaskClaim(claim, options.lease), look()])
        missed = 0
      } catch (error) {
        if (over.aborted) return new Promise(() => {})
        if (isHoldfastError(error) && ['CLAIM_LOST', 'NOT_FOUND'].includes(error.code)) missed = MAX_MISSED
        if (++missed >= MAX_MISSED) {
          throw new HoldfastError(
            'CLAIM_LOST',
            `The claim of run ${JSON.stringify(runId)} was lost. Another worker can continue the run`,
            {
              cause: error,
              details: { runId },
            },
          )
        }
      }
    }
  }
  return beats()
}
