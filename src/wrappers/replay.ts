/**
 * Recognises repeated requests for a driver that does not: where a driver inside one process is served to others, who
 * may lose an answer on the way and ask again.
 *
 * @module
 */
import { abortable } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { type Clock, idSource, systemClock } from '../core/clock.ts'
import type { Check, CommitAnswer, CommitRequest, Driver, FailedCheck, Outcome } from '../core/driver.ts'
import { aborted, isHoldfastError } from '../core/errors.ts'
import { type RequestRecord, type Verdict, digestOf, late, recordOf, requireInTime, reused } from '../core/requests.ts'

/** Options of {@link replay}. */
export interface ReplayOptions {
  /** How long a repeated request is recognised, in milliseconds from 1; 10 minutes by default. */
  readonly window?: number
  /** The clock of the driver underneath; the machine's clock by default. */
  readonly clock?: Clock
}

/** A request that was seen. */
interface Seen {
  readonly digest: string
  /** Until when a repeat is answered, in milliseconds since 1970. It is known to come too late for as long again. */
  readonly until: number
  /** Settles when the request is judged. */
  readonly verdicts: Promise<RequestRecord['verdicts']>
}

/**
 * Makes a driver that gives the same verdicts again when a request is repeated under its id.
 *
 * Records of requests, without any values, are kept in this process for two windows. That is enough where everything else
 * is too, as over `memory`; a driver whose data outlives the process keeps its own records. What the failed checks of a
 * repeat find is looked up anew in the driver, by a request that changes nothing.
 *
 * @param driver - the one underneath; closing this closes it
 * @param options - the window, and the driver's clock
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
  /** By the id of the request, in the order in which they were seen. */
  const requests = new Map<string, Seen>()
  let newId: (() => string) | undefined

  function forget(now: number): void {
    for (const [id, { until }] of requests) {
      if (until + window > now) break
      requests.delete(id)
    }
  }

  /** Executes a request that was not seen before. */
  function begin(request: CommitRequest, digest: string, now: number): Promise<CommitAnswer> {
    // Without the caller's signal: a repeat waits for the same answer.
    const answer = driver.commit(request)
    const verdicts = answer.then(({ outcomes }) => recordOf(digest, outcomes).verdicts.map(shared))
    const seen: Seen = { digest, until: now + window, verdicts }
    requests.set(request.id, seen)
    verdicts.catch((error: unknown) => {
      // It did not happen: the next attempt is a first one. Where that is unknown, there must be none.
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

  /** What these checks find. A log that is none any more has no end; the verdict stands all the same. */
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

  /** Asks what these checks find: by commits that fail in all of them, since the driver bounds what it answers to those. */
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

/** Most commits append nothing, and need no list of their own for that. */
const shared = (verdict: Verdict): Verdict => ('failed' in verdict || verdict.length > 0 ? verdict : NO_NUMBERS)
