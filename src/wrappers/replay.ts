/**
 * Recognises repeated requests for a driver that does not: where a driver inside one process is served to others, who
 * may lose an answer on the way and ask again.
 *
 * @module
 */
import { abortable } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { CommitAnswer, Driver } from '../core/driver.ts'
import { aborted, isHoldfastError } from '../core/errors.ts'
import { mapAnswer } from '../core/wire.ts'

/** Options of {@link replay}. */
export interface ReplayOptions {
  /** How long a repeated request is recognised, in milliseconds from 1; 10 minutes by default. */
  readonly window?: number
  readonly clock?: Clock
}

/**
 * Makes a driver that gives the answer of a request again when the request is repeated under its id.
 *
 * The answers are kept in this process. That is enough where everything else is too, as over `memory`; a driver whose
 * data outlives the process keeps its own records.
 *
 * @param driver - the one underneath; closing this closes it
 * @param options - the window
 * @returns the driver, with `replayWindow` declared
 * @throws `INVALID_ARGUMENT` for a malformed window
 *
 * @example
 * ```ts
 * import { memory } from 'holdfast'
 * import { replay } from 'holdfast/replay'
 *
 * const driver = replay(memory())
 * const commit = { id: 'c1', checks: [], ops: [{ append: { part: 'p', key: 'log!' }, value: 'once' }] }
 * const request = { id: 'r1', commits: [{ ...commit, durability: 'strict' as const }] }
 * await driver.commit(request)
 * await driver.commit(request) // the same answer; the log still has one entry
 * ```
 */
export function replay(driver: Driver, { window = 600_000, clock = systemClock }: ReplayOptions = {}): Driver {
  requireInteger(window, 'window', 1)
  /** In the order in which they expire. */
  const answers = new Map<string, { answer: Promise<CommitAnswer>; expiresAt: number }>()

  function forget(now: number): void {
    for (const [id, { expiresAt }] of answers) {
      if (expiresAt > now) break
      answers.delete(id)
    }
  }

  return {
    ...driver,
    capabilities: { ...driver.capabilities, replayWindow: window },
    async commit(request, { signal } = {}) {
      if (signal?.aborted) throw aborted(signal, false)
      const now = clock()
      forget(now)
      const known = answers.get(request.id)
      if (known !== undefined) return { ...own(await abortable(known.answer, signal, true)), now }
      // Without the caller's signal: who repeats it waits for the same answer.
      const answer = driver.commit(request)
      answers.set(request.id, { answer, expiresAt: now + window })
      answer.catch((error: unknown) => {
        // It did not happen: the next attempt is a first one. Where that is unknown, there must be none.
        if (isHoldfastError(error) && !error.ambiguous) answers.delete(request.id)
      })
      return own(await abortable(answer, signal, true))
    },
  }
}

/** An answer is its caller's own: what is kept for a repeat shares no bytes with it. */
const own = (answer: CommitAnswer): CommitAnswer =>
  mapAnswer(answer, (value) => (typeof value === 'string' ? value : new Uint8Array(value)))
