/**
 * Read-modify-write in one round trip: guess what an entry holds, let the commit check the guess, learn from the answer.
 *
 * A store remembers the entries it last saw or wrote, with their versions: see `guesses.ts`. A change is proposed from
 * the remembered state and committed under a check of that version. Where the guess was right, that was one round trip;
 * where not, the failed check brought what is there instead, and the change is proposed again from that. Changes made one
 * after the other without waiting build on each other's outcome before it is known, and so leave in one batch.
 *
 * Nothing is ever decided by the memory alone: a proposal that refuses is made again from what the backend says now.
 *
 * @module
 */
import { sleep } from './abort.ts'
import type { InnerDatabase, Draft } from './database.ts'
import type { Check, Entry, EntryKey, Op, Outcome } from './driver.ts'
import { type WholeFailedCheck, withValues } from './failed-checks.ts'
import { type NextContent, guesses } from './guesses.ts'
import type { WriteOptions } from './options.ts'

export type { NextContent } from './guesses.ts'

/** What became of a change that took effect. */
export interface Committed {
  /** The numbers of its appends, in the order of its ops. */
  readonly seqs: readonly number[]
  /** The outcome of the draft that was proposed as `before`; `undefined` where there was none. */
  readonly before: Outcome | undefined
}

/** What a change wants committed, given what the cell holds. */
export interface Proposal<T, R> {
  /** What the cell holds afterwards; `null` to delete it. Left out: as before. */
  readonly next?: NextContent<T> | null | undefined
  readonly checks?: readonly Check[]
  readonly ops?: readonly Op[]
  /** Other cells that are changed, or looked at, in the same commit. */
  readonly along?: readonly Along[]
  /** Committed in the same request, just before. */
  readonly before?: Draft
  /** Makes the result of a commit that took effect; `db` is for what it has to ask. */
  readonly done: (committed: Committed, db: InnerDatabase) => R | Promise<R>
  /**
   * Judges failed {@link checks}, by their index in it: returns the result or throws, or returns `undefined` to have the
   * change proposed again. `stale` tells that a cell did not hold what the proposal was made from; `db` is for what it
   * has to ask.
   */
  readonly failed?: (
    failed: readonly WholeFailedCheck[],
    stale: boolean,
    db: InnerDatabase,
  ) => R | undefined | Promise<R | undefined>
}

/** Another cell in a change of one: made by {@link Cells.along} inside of `propose`, for that proposal. */
export interface Along {
  readonly check: Check
  readonly op: Op | undefined
  /** Believes that the commit of this id takes effect. */
  expect(id: string): void
  /** The commit failed, and this is there instead of what was believed. */
  correct(entry: Entry | null): void
  /** The commit failed for another reason. */
  confirm(): void
  /** Nobody knows what became of the commit. */
  forget(): void
}

/** Entries of one kind, remembered. */
export interface Cells<T> {
  /**
   * Changes the entry at a key.
   *
   * @param key - where it is
   * @param propose - given what it holds, or `undefined` where it is absent, and the id of the commit to be, says what to
   *   commit, or throws to refuse. Called again with newer state until a commit's check held.
   * @param options - of the commit
   */
  change<R>(
    key: EntryKey,
    propose: (holds: T | undefined, id: string) => Proposal<T, R>,
    options?: WriteOptions,
  ): Promise<R>
  /**
   * Has the entry at a key changed, or only looked at, by the commit of another cell's change. What it is believed to
   * hold is checked by that commit, so a refusal that rests on it belongs into `done`, where it is certain.
   *
   * @param next - called at once: its new content, `null` to delete it, `undefined` to leave it
   */
  along(key: EntryKey, next: (holds: T | undefined) => NextContent<T> | null | undefined): Along
}

/** How often a change may lose against other processes before it waits a little between attempts. */
const PATIENCE = 2
/** The longest it waits, in milliseconds. */
const MAX_WAIT = 128

/**
 * Makes a memory of cells.
 *
 * @param db - where they are
 * @param decode - says what a stored entry means
 * @param capacity - how many are remembered at most, fewer where they are large; the least recently used is forgotten
 */
export function cells<T>(db: InnerDatabase, decode: (entry: Entry) => T, capacity = 1000): Cells<T> {
  const memory = guesses(decode, capacity)

  async function change<R>(
    db: InnerDatabase,
    key: EntryKey,
    propose: (holds: T | undefined, id: string) => Proposal<T, R>,
    options: WriteOptions,
  ): Promise<R> {
    /** The version that the backend has just told; `undefined` where it has told none. */
    let told: string | null | undefined
    for (let attempt = 0; ; attempt++) {
      // Every other time only: what was just learnt is tried at once.
      if (attempt > PATIENCE && attempt % 2 === 0) await pause(attempt, options.signal)
      const guess = memory.at(key)
      const own: Check = { at: key, version: guess.version }
      const id = db.newId()

      let proposal
      try {
        proposal = propose(guess.holds, id)
      } catch (refusal) {
        // Made from what the backend has just said, it counts.
        if (guess.version === told) {
          // What was refused may be large, and is not likely to be needed again.
          guess.forget()
          throw refusal
        }
        const current = await look(db, own, options)
        if (current === undefined) {
          guess.forget()
          throw refusal
        }
        told = guess.correct(current).version
        continue
      }

      const { along = [], before } = proposal
      const draft = draftOf(id, proposal, own)
      guess.expect(proposal.next, id)
      for (const other of along) other.expect(id)
      let outcomes
      try {
        outcomes = await db.commitAll(before ? [before, draft] : [draft], options)
      } catch (error) {
        guess.forget()
        for (const other of along) other.forget()
        throw error
      }

      const outcome = outcomes.at(-1)!
      if (outcome.ok) return proposal.done({ seqs: outcome.seqs, before: before && outcomes[0] }, db)
      const failed = await withValues(db, draft.checks, outcome.failed, options)
      // In a draft the checks of the proposal come first, then those of other cells, then that of its own.
      const count = draft.checks.length - along.length - 1
      const foundBy = (index: number): Entry | null | undefined =>
        failed.find(({ check }) => check === index)?.current as Entry | null | undefined
      along.forEach((other, i) => {
        const current = foundBy(count + i)
        if (current === undefined) other.confirm()
        else other.correct(current)
      })
      const current = foundBy(count + along.length)
      if (current === undefined) guess.confirm()
      told = current === undefined ? current : guess.correct(current).version
      const others = failed.filter(({ check }) => check < count)
      const result = others.length > 0 ? await proposal.failed?.(others, others.length < failed.length, db) : undefined
      if (result !== undefined) return result
    }
  }

  return {
    change: (key, propose, options = {}) => db.hold((held) => change(held, key, propose, options), options),
    along(key, makeNext) {
      const guess = memory.at(key)
      const next = makeNext(guess.holds)
      return {
        check: { at: key, version: guess.version },
        op: opOf(key, next),
        expect: (id) => guess.expect(next, id),
        correct: (entry) => void guess.correct(entry),
        confirm: guess.confirm,
        forget: guess.forget,
      }
    },
  }
}

/** An empty commit instead of a read: it stays in order with earlier calls. @returns `undefined` where the check holds */
async function look(
  db: InnerDatabase,
  check: Check,
  { signal, durability }: WriteOptions,
): Promise<Entry | null | undefined> {
  const outcome = await db.commit({ checks: [check] }, { signal, durability })
  if (outcome.ok) return undefined
  const [failed] = await withValues(db, [check], outcome.failed, { signal })
  return failed!.current as Entry | null
}

function draftOf<T, R>(
  id: string,
  { next, checks = [], ops = [], along = [] }: Proposal<T, R>,
  own: Extract<Check, { at: EntryKey }>,
): Draft & { readonly checks: readonly Check[] } {
  const op = opOf(own.at, next)
  return {
    id,
    checks: [...checks, ...along.map(({ check }) => check), own],
    ops: op || along.length > 0 ? [...ops, ...along.flatMap((other) => other.op ?? []), ...(op ? [op] : [])] : ops,
  }
}

const opOf = (key: EntryKey, next: NextContent<unknown> | null | undefined): Op | undefined =>
  next === undefined ? next : next ? { put: key, value: next.value, expires: next.expires } : { delete: key }

/** Waits with full jitter, so that processes in each other's way stop meeting. */
const pause = (attempt: number, signal: AbortSignal | undefined): Promise<void> =>
  sleep(Math.random() * Math.min(2 ** attempt, MAX_WAIT), signal)
