/**
 * Read-modify-write in one round trip: guess the entry's content, let the commit check the guess, learn from the
 * answer.
 *
 * A store remembers the entries it last saw or wrote, with their versions: see `guesses.ts`. A change is proposed from
 * the remembered state and committed under a check of the version. If the guess was right, that took one round trip. If
 * not, the failed check brought the current entry, and the change is proposed again from that. Changes made without
 * waiting for each other build on each other's expected outcome, so they fit in one batch.
 *
 * The memory alone never decides a refusal: a proposal that refuses is made again from the backend's current state.
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

/** The result of a change that took effect. */
export interface Committed {
  /** The numbers of its appends, in the order of its ops. */
  readonly seqs: readonly number[]
  /** The outcome of the draft proposed as `before`; `undefined` if there was none. */
  readonly before: Outcome | undefined
}

/** The commit that a change proposes, based on the content of the cell. */
export interface Proposal<T, R> {
  /** The new content of the cell; `null` deletes it. Left out, the cell stays as it is. */
  readonly next?: NextContent<T> | null | undefined
  readonly checks?: readonly Check[]
  readonly ops?: readonly Op[]
  /** Other cells that the same commit changes or checks. */
  readonly along?: readonly Along[]
  /** A draft to commit in the same request, just before this one. */
  readonly before?: Draft
  /** Makes the result after the commit took effect. `db` serves further requests. */
  readonly done: (committed: Committed, db: InnerDatabase) => R | Promise<R>
  /**
   * Judges failed {@link checks}, by index: returns the result, throws, or returns `undefined` to have the change
   * proposed again. `stale` is true if a cell differed from what the proposal was made from. `db` serves further
   * requests.
   */
  readonly failed?: (
    failed: readonly WholeFailedCheck[],
    stale: boolean,
    db: InnerDatabase,
  ) => R | undefined | Promise<R | undefined>
}

/** Another cell in the commit of a change. {@link Cells.along} makes it inside `propose`, for that proposal only. */
export interface Along {
  readonly check: Check
  readonly op: Op | undefined
  /** Assumes that the commit with this id takes effect. */
  expect(id: string): void
  /** The commit failed, and the guess was wrong: remembers the real entry. */
  correct(entry: Entry | null): void
  /** The commit failed for another reason; the guess was right. */
  confirm(): void
  /** Forgets the entry: the outcome of the commit is unknown. */
  forget(): void
}

/** A memory of entries of one kind, and changes to them. */
export interface Cells<T> {
  /**
   * Changes the entry at a key.
   *
   * @param key - the key of the entry
   * @param propose - gets the content, or `undefined` if the entry is absent, and the id of the commit; returns the
   *   commit to make, or throws to refuse. Called again with newer content until the commit's checks hold
   * @param options - options of the commit
   */
  change<R>(
    key: EntryKey,
    propose: (holds: T | undefined, id: string) => Proposal<T, R>,
    options?: WriteOptions,
  ): Promise<R>
  /**
   * Adds the entry at a key to the commit of another cell's change, to change it or only to check it. The commit checks
   * the remembered content. So a refusal that depends on it belongs in `done`, where it is certain.
   *
   * @param next - called at once; returns the new content, `null` to delete the entry, `undefined` to leave it
   */
  along(key: EntryKey, next: (holds: T | undefined) => NextContent<T> | null | undefined): Along
}

/** Options of {@link cells}. */
export interface CellsOptions {
  /** The most entries to remember, fewer if they are large; the least recently used are forgotten. 1000 by default. */
  readonly capacity?: number
  /** Whether a change may touch more of the part than its own entry; `true` by default. */
  readonly isWide?: boolean
}

/** How often a change may lose against other processes before it waits between attempts. */
const PATIENCE = 2
/** The longest wait between two attempts, in milliseconds. */
const MAX_WAIT = 128

/**
 * Makes a memory of cells.
 *
 * @param db - the database of the entries
 * @param decode - decodes a stored entry
 * @param options - the size of the memory, and the reach of the changes
 */
export function cells<T>(
  db: InnerDatabase,
  decode: (entry: Entry) => T,
  { capacity = 1000, isWide = true }: CellsOptions = {},
): Cells<T> {
  const memory = guesses(decode, capacity)

  async function change<R>(
    db: InnerDatabase,
    key: EntryKey,
    propose: (holds: T | undefined, id: string) => Proposal<T, R>,
    options: WriteOptions,
  ): Promise<R> {
    /** The version the backend reported last; `undefined` if the last answer reported none. */
    let reported: string | null | undefined
    for (let attempt = 0; ; attempt++) {
      // Only every other time: a version just learned is tried at once.
      if (attempt > PATIENCE && attempt % 2 === 0) await pause(attempt, options.signal)
      const guess = memory.at(key)
      const own: Check = { at: key, version: guess.version }
      const id = db.newId()

      let proposal
      try {
        proposal = propose(guess.holds, id)
      } catch (refusal) {
        // The refusal is final: it was made from the backend's current state.
        if (guess.version === reported) {
          // The refused content may be large, and is unlikely to be needed again.
          guess.forget()
          throw refusal
        }
        const current = await look(db, own, options)
        if (current === undefined) {
          guess.forget()
          throw refusal
        }
        reported = guess.correct(current).version
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
      // The draft's checks are in this order: the proposal's, those of other cells, this cell's own.
      const count = draft.checks.length - along.length - 1
      const currentAt = (index: number): Entry | null | undefined =>
        failed.find(({ check }) => check === index)?.current as Entry | null | undefined
      along.forEach((other, i) => {
        const current = currentAt(count + i)
        if (current === undefined) other.confirm()
        else other.correct(current)
      })
      const current = currentAt(count + along.length)
      if (current === undefined) guess.confirm()
      reported = current === undefined ? current : guess.correct(current).version
      const others = failed.filter(({ check }) => check < count)
      const result = others.length > 0 ? await proposal.failed?.(others, others.length < failed.length, db) : undefined
      if (result !== undefined) return result
    }
  }

  return {
    change: (key, propose, options = {}) =>
      db.hold(
        (held) => change(held, key, propose, options),
        options,
        () => [isWide ? { part: key.part } : key],
      ),
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

/**
 * Checks the entry by an empty commit instead of a read: it stays in order with earlier calls. @returns `undefined` if
 * the check holds
 */
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

/** Waits with full jitter, so that competing processes drift apart. */
const pause = (attempt: number, signal: AbortSignal | undefined): Promise<void> =>
  sleep(Math.random() * Math.min(2 ** attempt, MAX_WAIT), signal)
