/** Holding a run: signs of life for its claim, and an ear for whoever asks it to stop. @module */
import { sleep } from '../core/abort.ts'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { RUN, type TenantParts } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims/store.ts'
import { pendingSignal } from '../runs/indexes.ts'
import { type RunRecords, decodeRun } from '../runs/record.ts'
import type { SignalKind } from '../runs/state.ts'

/** So many signs of life that fail in a row are a lost claim; it is over one later. */
export const MAX_MISSED = 3
/** Timers of runtimes are 32 bits. */
const LONGEST = 2 ** 31 - 1
/** What is announced so soon after an own commit is told by that commit, in milliseconds. */
const BURST = 20

/** What is watched. */
export interface HoldOptions {
  readonly holdfast: Holdfast
  readonly parts: TenantParts
  readonly runs: RunRecords
  readonly claim: Claim
  /** In milliseconds. */
  readonly lease: number
  readonly beat: number
  readonly over: AbortSignal
  /** When an own commit has told what is pending, by `performance.now()`. */
  toldAt(): number
  onSignal(pending: SignalKind | undefined): void
  /** Something of the run has changed. */
  onHint(): void
}

/**
 * Extends the claim at every beat, and looks for signals: at every beat, at once where they are given in this process or the
 * backend announces them.
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
        // The next beat tells what is wrong.
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
      await sleep(Math.min(options.beat, LONGEST), over).catch(() => new Promise(() => {}))
      try {
        await Promise.all([holdfast.claims.extendTaskClaim(claim, options.lease), look()])
        missed = 0
      } catch (error) {
        if (over.aborted) return new Promise(() => {})
        if (isHoldfastError(error) && ['CLAIM_LOST', 'NOT_FOUND'].includes(error.code)) missed = MAX_MISSED
        if (++missed >= MAX_MISSED) {
          throw new HoldfastError('CLAIM_LOST', `The claim of run ${JSON.stringify(runId)} is lost`, {
            cause: error,
            details: { runId },
          })
        }
      }
    }
  }
  return beats()
}
