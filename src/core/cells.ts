/**
 * Read-modify-write in one round trip: guess what an entry holds, let the commit check the guess, learn from the answer.
 *
 * A store remembers the entries it last saw or wrote, with their versions. A change is proposed from the remembered
 * state and committed under a check of that version. Where the guess was right, that was one round trip; where not, the
 * failed check brought what is there instead, and the change is proposed again from that. Changes made one after the
 * other without waiting build on each other's outcome before it is known, and so leave in one batch.
 *
 * Nothing is ever decided by the memory alone: a proposal that refuses is made again from what the backend says now.
 *
 * @module
 */
import { sleep } from './abort.ts'
import type { Database, Draft, WriteOptions } from './database.ts'
import type { Check, Entry, Expiry, FailedCheck, Key, Op, Outcome, Value } from './driver.ts'

/** A new content of a cell. */
export interface NextContent<T> {
  readonly value: Value
  readonly expires?: Expiry | undefined
  /** What it means; left out where that cannot be known beforehand. */
  readonly holds?: T
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
  /** Makes the result of a commit that took effect; `before` is the outcome of the draft of that name. */
  readonly done: (seqs: readonly number[], before: Outcome | undefined) => R
  /**
   * Judges failed {@link checks}, by their index in it: returns the result or throws, or returns `undefined` to have the
   * change proposed again. `stale` tells that a cell did not hold what the proposal was made from; `db` is for what it
   * has to ask.
   */
  readonly failed?: (
    failed: readonly FailedCheck[],
    stale: boolean,
    db: Database,
  ) => R | undefined | Promise<R | undefined>
}

/** Another cell in a change of one: made by {@link Cells.along} inside of `propose`, for that proposal. */
export interface Along {
  readonly check: Check
  readonly op: Op | undefined
  /** Takes the commit for one that will take effect. */
  begin(id: string): void
  /** Learns that it did not, and what is there; `undefined` where that is not known. */
  end(current: Entry | null | undefined): void
  /** Learns that it did not, and that what it was believed to hold is there. */
  undo(): void
}

/** Entries of one kind, remembered. */
export interface Cells<T> {
  /**
   * Changes the entry at a key.
   *
   * @param key - where it is
   * @param propose - given what it holds, or `undefined` where it is absent, says what to commit, or throws to refuse.
   *   Called again with newer state until a commit's check held.
   * @param options - of the commit
   */
  change<R>(key: Key, propose: (holds: T | undefined) => Proposal<T, R>, options?: WriteOptions): Promise<R>
  /**
   * Has the entry at a key changed, or only looked at, by the commit of another cell's change. What it is believed to
   * hold is checked by that commit, so a refusal that rests on it belongs into `done`, where it is certain.
   *
   * @param next - called at once: its new content, `null` to delete it, `undefined` to leave it
   */
  along(key: Key, next: (holds: T | undefined) => NextContent<T> | null | undefined): Along
}

/** What a cell is believed to hold. */
interface Guess<T> {
  readonly version: string | null
  readonly holds?: T | undefined
  /** Guesses built on each other share it, and fail together: the first of them to fail corrects the memory for all. */
  readonly epoch: number
  /** Of what is stored, in characters or bytes. */
  readonly weight: number
}

/** All that is remembered together, in characters or bytes: what is held is about as large as what is stored. */
const MAX_WEIGHT = 2 ** 22
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
export function cells<T>(db: Database, decode: (entry: Entry) => T, capacity = 1000): Cells<T> {
  const memory = new Map<string, Guess<T>>()
  let weight = 0
  let epochs = 0

  function forget(name: string): void {
    weight -= memory.get(name)?.weight ?? 0
    memory.delete(name)
  }

  function remember(name: string, guess: Guess<T> | undefined): void {
    forget(name)
    if (guess === undefined) return
    memory.set(name, guess)
    weight += guess.weight
    while (memory.size > capacity || weight > MAX_WEIGHT) forget(memory.keys().next().value!)
  }

  const unknown = (): Guess<T> => ({ version: null, epoch: ++epochs, weight: 0 })

  const learn = (entry: Entry | null): Guess<T> => ({
    version: entry && entry.version,
    holds: entry ? decode(entry) : undefined,
    epoch: ++epochs,
    weight: entry ? entry.value.length : 0,
  })

  async function change<R>(
    db: Database,
    key: Key,
    propose: (holds: T | undefined) => Proposal<T, R>,
    options: WriteOptions,
  ): Promise<R> {
    const name = nameOf(key)
    let told: Guess<T> | undefined
    for (let attempt = 0; ; attempt++) {
      // Every other time only: what was just learnt is tried at once.
      if (attempt > PATIENCE && attempt % 2 === 0) await pause(attempt, options.signal)
      const guess = memory.get(name) ?? unknown()
      const { epoch } = guess
      // Forgotten counts: what is told now is better than nothing.
      const isMine = (): boolean => (memory.get(name)?.epoch ?? epoch) === epoch

      let proposal
      try {
        proposal = propose(guess.holds)
      } catch (refusal) {
        // Made from what the backend has just said, it counts.
        if (guess === told) {
          // What was refused may be large, and is not likely to be needed again.
          forget(name)
          throw refusal
        }
        // Asked by a commit, which takes its turn behind all that was called before; a read would overtake it.
        const { signal, durability } = options
        const asked = await db.commit({ checks: [{ at: key, version: guess.version }] }, { signal, durability })
        if (asked.ok) {
          if (memory.get(name) === guess) forget(name)
          throw refusal
        }
        told = learn(asked.failed[0]!.current as Entry | null)
        if (isMine()) remember(name, told)
        continue
      }

      const { next, checks = [], ops = [], along = [], before } = proposal
      const id = db.newId()
      const mine = opOf(key, next)
      const draft = {
        id,
        checks: [...checks, ...along.map(({ check }) => check), { at: key, version: guess.version }],
        ops: mine || along.length > 0 ? [...ops, ...along.flatMap(({ op }) => op ?? []), ...(mine ? [mine] : [])] : ops,
      }
      remember(name, next === undefined ? guess : speculate(next, id, epoch))
      for (const it of along) it.begin(id)
      let outcomes
      try {
        outcomes = await db.commitAll(before ? [before, draft] : [draft], options)
      } catch (error) {
        if (isMine()) forget(name)
        for (const it of along) it.end(undefined)
        throw error
      }

      const outcome = outcomes.at(-1)!
      if (outcome.ok) return proposal.done(outcome.seqs, outcomes[0])
      const currentAt = (check: number): Entry | null | undefined =>
        outcome.failed.find((failure) => failure.check === check)?.current as Entry | null | undefined
      const own = currentAt(checks.length + along.length)
      told = own === undefined ? own : learn(own)
      if (isMine()) remember(name, told ?? { ...guess, epoch: ++epochs })
      along.forEach((it, i) => {
        const current = currentAt(checks.length + i)
        if (current === undefined) it.undo()
        else it.end(current)
      })
      const others = outcome.failed.filter((failure) => failure.check < checks.length)
      const stale = others.length < outcome.failed.length
      const result = others.length > 0 ? await proposal.failed?.(others, stale, db) : undefined
      if (result !== undefined) return result
    }
  }

  return {
    change: (key, propose, options = {}) => db.hold((held) => change(held, key, propose, options), options),
    along(key, makeNext) {
      const name = nameOf(key)
      const guess = memory.get(name) ?? unknown()
      const isMine = (): boolean => (memory.get(name)?.epoch ?? guess.epoch) === guess.epoch
      const next = makeNext(guess.holds)
      return {
        check: { at: key, version: guess.version },
        op: opOf(key, next),
        begin: (id) => remember(name, next === undefined ? guess : speculate(next, id, guess.epoch)),
        end(current) {
          if (isMine()) remember(name, current === undefined ? undefined : learn(current))
        },
        undo() {
          if (isMine()) remember(name, { ...guess, epoch: ++epochs })
        },
      }
    },
  }
}

const nameOf = ({ part, key }: Key): string => `${part}\n${key}`

const opOf = (key: Key, next: NextContent<unknown> | null | undefined): Op | undefined =>
  next === undefined ? next : next ? { put: key, value: next.value, expires: next.expires } : { delete: key }

/** What the cell will hold if the commit takes effect. */
const speculate = <T>(next: NextContent<T> | null, version: string, epoch: number): Guess<T> | undefined =>
  next === null
    ? { version: null, epoch, weight: 0 }
    : next.holds === undefined
      ? undefined
      : { version, holds: next.holds, epoch, weight: next.value.length }

/** Waits with full jitter, so that processes in each other's way stop meeting. */
const pause = (attempt: number, signal: AbortSignal | undefined): Promise<void> =>
  sleep(Math.random() * Math.min(2 ** attempt, MAX_WAIT), signal)
