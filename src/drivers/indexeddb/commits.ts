/**
 * How a request of commits gets into the database: it is judged by what is known, and handed over whole, in one
 * transaction that waits for nothing but the disk. Where another commit came first, it is judged again.
 *
 * Where that happens again and again, as when another tab writes without a pause, the request is judged inside its
 * transaction. Only then do other tabs wait for the code of this one, between its reads and its writes.
 *
 * @module
 */
import { writesOf } from '../shared/evaluate.ts'
import type { Clock } from '../../core/clock.ts'
import type { Commit, CommitAnswer } from '../../core/driver.ts'
import type { Sweeps } from '../shared/sweeps.ts'
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

/** What stays the same from commit to commit. */
export interface CommitContext {
  readonly clock: Clock
  readonly swept: Sweeps
  readonly answerBytes: number
}

/** How often another commit may come first before a request is judged inside its transaction. */
const MOST_LOST = 6
/**
 * What a transaction writes at most that is handed over whole in a browser that tears some apart, in bytes: with no more,
 * nothing fails before the end, where all of it fails together.
 */
const SMALL = 2 ** 19
/** How many times what is written has to fit into the quota in such a browser: it is first written to a log beside. */
const SPARE = 3

/** Applies commits. One call at a time: the next one builds on what this one has written. */
export async function commit(
  commits: readonly Commit[],
  opened: Opened,
  attempt: Attempt,
  context: CommitContext,
): Promise<CommitAnswer> {
  const { db, facts } = opened
  const durability = commits.some((it) => it.durability === 'strict') ? 'strict' : 'relaxed'
  try {
    for (let lost = 0; lost < MOST_LOST; lost++) {
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
  /** Whether it holds only as long as what is known does. */
  readonly isGuarded: boolean
}

/**
 * Judges commits by what is known, and asks for what is not. A refusal is never given by what was known before alone.
 *
 * @returns what came of it; `undefined` where other commits came in between
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
  // What is old is asked for again before somebody has to wonder whether it can still be sent.
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
 * Hands over what is to be written.
 *
 * @returns whether it was written; otherwise what it was judged by was out of date
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
  // What another tab has stored since is taken away all the same.
  const hasValues = facts.hasLong || judged.hasLong || judged.hasDeletes
  const began = moment()
  const stores = hasValues ? [ENTRIES, COMMITS, VALUES] : [ENTRIES, COMMITS]
  const running = begin(db, stores, 'readwrite', durability)
  const { tx, store, ended, isTaken } = running
  // Looked at when the transaction has its place among those of other tabs: this code may have been halted before that.
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
    // The last request: Firefox heeds the failure of no other one.
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
 * Whether it is too much to be handed over whole here: the browser lets the code of the page say whether all went well.
 *
 * @throws `QUOTA_EXCEEDED` where there is hardly any room for it, before anything is written: where Firefox finds out in
 *   the middle of a transaction, it may keep the second half
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
 * @throws what one of them has thrown, such as Firefox in the first transaction after one that was over the quota, which
 *   takes deletions only; then nothing was written
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

/** Takes away numbers that nobody counts on any more. */
function tidy(numbers: IdbStore, opened: Opened): void {
  const { mark, facts } = opened
  const at = Date.now()
  if (facts.generation === undefined || (mark && at >= mark.at && at - mark.at < KEPT)) return
  if (mark && at >= mark.at) numbers.delete(below(mark.upTo))
  opened.mark = { n: 'mark', upTo: facts.generation, at }
  numbers.put(opened.mark)
}

/** Judges commits inside of the transaction that writes them. */
async function commitInside(
  commits: readonly Commit[],
  opened: Opened,
  attempt: Attempt,
  context: CommitContext,
  durability: 'strict' | 'relaxed',
): Promise<CommitAnswer> {
  const facts = noFacts()
  // Inside, nothing else can be waited for. It is asked beforehand, for as much as the request may write.
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
