/**
 * Recognises repeated requests for a driver that does not. Use it for an in-process driver that is served to others,
 * who may lose an answer on the way and repeat the request.
 *
 * @module
 */
import { abortable } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { type Clock, idSource, systemClock } from '../core/clock.ts'
import type { Check, CommitAnswer, CommitRequest, Driver, FailedCheck, Outcome } from '../core/driver.ts'
import { aborted, isHoldfastError } from '../core/errors.ts'
import {
  type RequestRecord,
  type Verdict,
  digestOf,
  late,
  recordOf,
  requireInTime,
  reused,
} from '../core/request-records.ts'

/** Options of {@link replay}. */
export interface ReplayOptions {
  /** How long a repeated request is recognised, in milliseconds from 1; 10 minutes by default. */
  readonly window?: number
  /** The clock of the driver underneath; the machine's clock by default. */
  readonly clock?: Clock
}

/** The record of a request. */
interface Seen {
  readonly digest: string
  /**
   * Until when a repeat is answered, in milliseconds since 1970. For as long again, a repeat is known to be too late.
   */
  readonly until: number
  /** Settles when the request was executed. */
  readonly verdicts: Promise<RequestRecord['verdicts']>
}

/**
 * Makes a driver that answers a request repeated under its id with the same verdicts.
 *
 * Records of requests, without any values, are kept in this process for two windows. That is enough if everything else
 * is kept in the process too, as with `memory`. A driver whose data outlives the process must keep its own records. For
 * the failed checks of a repeat, the current state is read again, by a request that changes nothing.
 *
 * @param driver - the driver underneath; closing this one closes it
 * @param options - the window, and the driver's clock
 * @returns the driver, with a `replayWindow`
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
  /** By request id, in the order of arrival. */
  const requests = new Map<string, Seen>()
  let newId: (() => string) | undefined

  function forget(now: number): void {
    for (const [id, { until }] of requests) {
      if (until + window > now) break
      requests.delete(id)
    }
  }

  /** Executes a new request. */
  function begin(request: CommitRequest, digest: string, now: number): Promise<CommitAnswer> {
    // Without the caller's signal, because a repeat waits for the same answer.
    const answer = driver.commit(request)
    const verdicts = answer.then(({ outcomes }) => recordOf(digest, outcomes).verdicts.map(shared))
    const seen: Seen = { digest, until: now + window, verdicts }
    requests.set(request.id, seen)
    verdicts.catch((error: unknown) => {
      // It had no effect, so the next attempt is a first one. If the outcome is unknown, there must be no next attempt.
      const isCertain = isHoldfastError(error) && !error.ambiguous
      if (isCertain && requests.get(request.id) === seen) requests.delete(request.id)
    })
    return answer
  }

  /** Answers a repeat. */
  async function repeat({ commits }: CommitRequest, { verdicts }: Seen, now: number): Promise<CommitAnswer> {
    const judged = await verdicts
    const failing = judged.flatMap((verdict, i) =>
      'failed' in verdict ? [verdict.failed.map((check) => commits[i]!.checks[check]!)] : [],
    )
    const found = failing.length > 0 ? await lookUp(failing) : { now, currents: [] }
    const refused = found.currents.values()
    const outcomes = judged.map((verdict): Outcome => {
      if (!('failed' in verdict)) return { ok: true, seqs: [...verdict] }
      const currents = refused.next().value!
      return { ok: false, failed: verdict.failed.map((check, i) => ({ check, current: currents[i]! })) }
    })
    return { now: found.now, outcomes }
  }

  /** The current state for these checks. If the keys no longer form a log, its end is 0; the verdict still stands. */
  async function lookUp(
    failing: readonly (readonly Check[])[],
  ): Promise<{ readonly now: number; readonly currents: readonly (readonly FailedCheck['current'][])[] }> {
    const asked = (isAsked: (check: Check) => boolean): Promise<CommitAnswer> =>
      ask(failing.map((checks) => checks.filter(isAsked)))
    let answer
    let hasLogs = true
    try {
      answer = await asked(() => true)
    } catch (refusal) {
      if (!isHoldfastError(refusal, 'INVALID_ARGUMENT')) throw refusal
      hasLogs = false
      answer = await asked((check) => 'at' in check)
    }
    const { now, outcomes } = answer
    const currents = failing.map((checks, i) => {
      const outcome = outcomes[i]!
      const found = (outcome.ok ? [] : outcome.failed).values()
      return checks.map((check) => (hasLogs || 'at' in check ? found.next().value!.current : { last: 0 }))
    })
    return { now, currents }
  }

  /**
   * Reads the current state by commits in which all these checks fail, because the driver limits the answer to failed
   * checks.
   */
  function ask(failing: readonly (readonly Check[])[]): Promise<CommitAnswer> {
    newId ??= idSource()
    const never = newId()
    const commits = failing.map((checks) => ({
      id: never,
      checks: checks.map((check) =>
        'log' in check ? { log: check.log, last: Number.MAX_SAFE_INTEGER } : { at: check.at, version: never },
      ),
      ops: [],
      durability: 'relaxed' as const,
    }))
    return driver.commit({ id: newId(), commits })
  }

  return {
    ...driver,
    capabilities: { ...driver.capabilities, replayWindow: window },
    async commit(request, { signal } = {}) {
      if (signal?.aborted) throw aborted(signal, false)
      const now = clock()
      forget(now)
      const digest = digestOf(request)
      const seen = requests.get(request.id)
      if (seen === undefined) {
        requireInTime(request, now, window)
        return abortable(begin(request, digest, now), signal, true)
      }
      if (seen.until <= now) throw late(now)
      if (seen.digest !== digest) throw reused(request.id)
      return abortable(repeat(request, seen, now), signal, true)
    },
  }
}

const NO_NUMBERS: Verdict = []

/** Most commits append nothing and can share one empty list. */
const shared = (verdict: Verdict): Verdict => ('failed' in verdict || verdict.length > 0 ? verdict : NO_NUMBERS)
