/**
 * Writing a request of commits. The request is judged by known facts and handed over whole, in one transaction that
 * waits only for the disk. If another commit came first, it is judged again.
 *
 * If that happens repeatedly, as when another tab writes without a pause, the request is judged inside its transaction.
 * Only then do other tabs wait for code of this page, between its reads and its writes.
 *
 * @module
 */
import { writesOf } from '../shared/evaluate.ts'
import type { Clock } from '../../core/clock.ts'
import type { Commit, CommitAnswer } from '../../core/driver.ts'
import type { Sweeps } from '../shared/sweep-schedule.ts'
import { type IdbStore, below } from './api.ts'
import { type Judged, judge, needsOf, weightOf } from './batch.ts'
import {
  type Facts,
  type Learnt,
  KEPT,
  MAX_AGE,
  type Needs,
  addNeeds,
  isNone,
  learn,
  missing,
  moment,
  noFacts,
  noNeeds,
  storesFor,
} from './facts.ts'
import { type Attempt, estimate, full } from './faults.ts'
import type { Opened } from './opened.ts'
import { COMMITS, ENTRIES, type Running, VALUES, begin } from './transactions.ts'

/** The constants of all commits of one driver. */
export interface CommitContext {
  readonly clock: Clock
  readonly swept: Sweeps
  readonly answerBytes: number
}

/** How often another commit may come first before a request is judged inside its transaction. */
const MAX_LOST = 6
/**
 * The most bytes handed over whole in a browser that may keep half of a failed transaction. A transaction this small
 * cannot fail before its end, where it fails as a whole.
 */
const SMALL = 2 ** 19
/** In such a browser, the quota must have room for this many times the write: it goes to a log first. */
const SPARE = 3

/** Applies commits. Calls must not overlap: each builds on the writes of the last. */
export async function commit(
  commits: readonly Commit[],
  opened: Opened,
  attempt: Attempt,
  context: CommitContext,
): Promise<CommitAnswer> {
  const { db, facts } = opened
  const durability = commits.some((it) => it.durability === 'strict') ? 'strict' : 'relaxed'
  try {
    for (let lost = 0; lost < MAX_LOST; lost++) {
      const found = await judgeBy(commits, facts, context, (lacking, expired) => {
        const running = begin(db, storesFor(lacking), 'readonly')
        const learnt = learn(running, facts, lacking, expired)
        running.tx.commit()
        return running.settled(learnt)
      })
      if (!found) continue
      const { answer, judged } = found
      if (!answer.outcomes.some(({ ok }) => ok)) return answer
      if (await write(judged, found.isGuarded, opened, attempt, durability)) return answer
    }
    return await commitInside(commits, opened, attempt, context, durability)
  } finally {
    facts.trim()
  }
}

type Ask = (lacking: Needs, expired: { most: number; until: number }) => Promise<Learnt>

interface Found {
  readonly answer: CommitAnswer
  readonly judged: Judged
  /** Whether the result depends on known facts, so that the write must check that they still hold. */
  readonly isGuarded: boolean
}

/**
 * Judges commits by known facts, and reads missing ones. A refusal is never based on earlier facts alone.
 *
 * @returns the result; `undefined` if other commits came in between
 * @throws `INVALID_ARGUMENT`, see {@link judge}
 */
async function judgeBy(
  commits: readonly Commit[],
  facts: Facts,
  { clock, swept, answerBytes }: CommitContext,
  ask: Ask,
): Promise<Found | undefined> {
  const needs = needsOf(commits)
  const until = clock()
  let most = swept.most(until, writesOf({ commits }))
  let expired: readonly string[] = []
  let isAsked = false
  // Reads old facts again early, so that they do not expire before the write.
  let mustAsk = most > 0 || (!isNone(needs) && (facts.generation === undefined || facts.age() > MAX_AGE / 2))
  for (;;) {
    const lacking = missing(facts, needs)
    if (lacking || mustAsk) {
      const learnt = await ask(lacking ?? noNeeds(), { most, until })
      if (learnt.hasChanged && isAsked) return undefined
      if (most > 0) {
        swept.found(until, learnt.expired.length, most)
        expired = learnt.expired
      }
      most = 0
      mustAsk = false
      isAsked = true
      continue
    }
    const now = clock()
    let judged: Judged
    try {
      judged = judge(commits, facts, expired, now, answerBytes)
    } catch (refusal) {
      if (isAsked) throw refusal
      mustAsk = true
      continue
    }
    if (judged.lacking) {
      addNeeds(needs, judged.lacking)
      continue
    }
    const { outcomes } = judged
    if (isAsked || outcomes.some(({ ok }) => ok)) {
      return { answer: { now, outcomes }, judged, isGuarded: !isNone(needs) || expired.length > 0 }
    }
    mustAsk = true
  }
}

/**
 * Writes a judged request.
 *
 * @returns whether it was written; if not, the facts were out of date
 */
async function write(
  judged: Judged,
  isGuarded: boolean,
  opened: Opened,
  attempt: Attempt,
  durability: 'strict' | 'relaxed',
): Promise<boolean> {
  const { db, facts } = opened
  const mayTear = await isLarge(judged, opened, attempt)
  // Also deletes a long value that another tab has stored since.
  const hasValues = facts.hasLong || judged.hasLong || judged.hasDeletes
  const began = moment()
  const stores = hasValues ? [ENTRIES, COMMITS, VALUES] : [ENTRIES, COMMITS]
  const running = begin(db, stores, 'readwrite', durability)
  const { tx, store, ended, isTaken } = running
  // Checked once the transaction has its turn among those of other tabs: this page may have been suspended before.
  if (isGuarded && facts.age() > MAX_AGE) {
    tx.abort()
    facts.forget()
    return false
  }
  const number = handOver(running, attempt, () => {
    const numbers = store(COMMITS)
    tidy(numbers, opened)
    const mine = isGuarded ? undefined : numbers.put({})
    judged.flush(store(ENTRIES), hasValues ? store(VALUES) : undefined)
    // The last request: Firefox aborts a transaction for no other failure.
    return mine ?? numbers.add({ n: facts.generation! + 1 })
  })
  if (!mayTear) tx.commit()
  try {
    await ended(Promise.resolve())
  } catch (cause) {
    if (!isTaken(number)) throw cause
    attempt.isWritten = false
    facts.forget()
    return false
  }
  if (number.result !== facts.generation! + 1) facts.forget()
  facts.generation = number.result as number
  facts.confirm(began)
  facts.hasLong ||= judged.hasLong
  judged.teach()
  return true
}

/**
 * Whether a write is too large to hand over whole in this browser. If so, code of the page decides whether all went
 * well.
 *
 * @throws `QUOTA_EXCEEDED` before anything is written if there is hardly any room: a transaction of Firefox that runs
 *   out of room may keep its second half
 */
async function isLarge({ weight }: Pick<Judged, 'weight'>, opened: Opened, attempt: Attempt): Promise<boolean> {
  if (weight <= SMALL || !(await opened.tearsApart())) return false
  const found = await estimate()
  if (found?.quota !== undefined && (found.usage ?? 0) + SPARE * weight > found.quota) throw full(found)
  attempt.mayBeTorn = true
  return true
}

/**
 * Makes the requests that write.
 *
 * @throws the error of one of them; nothing was written then. In Firefox the first transaction after one that exceeded
 *   the quota accepts only deletions
 */
function handOver<T>({ tx }: Running, attempt: Attempt, write: () => T): T {
  try {
    attempt.isWritten = true
    return write()
  } catch (cause) {
    tx.abort()
    attempt.isWritten = false
    throw cause
  }
}

/** Deletes numbers of commits that no facts depend on any more. */
function tidy(numbers: IdbStore, opened: Opened): void {
  const { mark, facts } = opened
  const at = Date.now()
  if (facts.generation === undefined || (mark && at >= mark.at && at - mark.at < KEPT)) return
  if (mark && at >= mark.at) numbers.delete(below(mark.upTo))
  opened.mark = { n: 'mark', upTo: facts.generation, at }
  numbers.put(opened.mark)
}

/** Judges commits inside the transaction that writes them. */
async function commitInside(
  commits: readonly Commit[],
  opened: Opened,
  attempt: Attempt,
  context: CommitContext,
  durability: 'strict' | 'relaxed',
): Promise<CommitAnswer> {
  const facts = noFacts()
  // A transaction cannot wait for the quota, so it is checked beforehand, for the most that the request may write.
  const weight = commits.reduce((sum, { ops }) => sum + ops.reduce((bytes, op) => bytes + weightOf(op), 0), 0)
  const mayTear = await isLarge({ weight }, opened, attempt)
  const running = begin(opened.db, [ENTRIES, COMMITS, VALUES], 'readwrite', durability)
  async function work(): Promise<CommitAnswer> {
    const { answer, judged } = (await judgeBy(commits, facts, context, (lacking, expired) =>
      learn(running, facts, lacking, expired),
    ))!
    if (answer.outcomes.some(({ ok }) => ok)) {
      handOver(running, attempt, () => {
        running.store(COMMITS).put({})
        judged.flush(running.store(ENTRIES), running.store(VALUES))
      })
    }
    if (!mayTear) running.tx.commit()
    return answer
  }
  opened.facts.forget()
  return running.ended(work())
}
