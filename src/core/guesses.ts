/**
 * What is remembered of entries: what they are believed to hold, before it is known.
 *
 * A guess is right or wrong together with those that were built on it: they share an epoch. The first of them to fail
 * corrects the memory for all; what the others learn then is older than what is remembered.
 *
 * @module
 */
import type { Entry, Expiry, EntryKey, Value } from './driver.ts'

/** A new content of an entry. */
export interface NextContent<T> {
  readonly value: Value
  readonly expires?: Expiry | undefined
  /** What it means; left out where that cannot be known beforehand. */
  readonly holds?: T
}

/** What an entry is believed to hold, by one who is about to change it or to rely on it. */
export interface Guess<T> {
  /** The version that it is believed to have; `null` for absent, also where nothing is known. */
  readonly version: string | null
  /** What it means; `undefined` for absent. */
  readonly holds: T | undefined
  /** Believes that a commit takes effect: with `null` it deletes the entry, with `undefined` it leaves it as it is. */
  expect(next: NextContent<T> | null | undefined, id: string): void
  /** The entry was something else: learns it. @returns a guess that is known to be right at that moment */
  correct(entry: Entry | null): Guess<T>
  /** The commit failed for another reason: this guess was right. */
  confirm(): void
  /** Nothing is known any more. */
  forget(): void
}

/** A memory of entries of one kind. */
export interface Guesses<T> {
  /** What is believed of the entry at a key. */
  at(key: EntryKey): Guess<T>
}

interface Belief<T> {
  readonly version: string | null
  readonly holds?: T | undefined
  /** Beliefs built on each other share it, and fail together. */
  readonly epoch: number
  /** Of what is stored, in characters or bytes. */
  readonly weight: number
}

/** All that is remembered together, in characters or bytes: what is held is about as large as what is stored. */
const MAX_WEIGHT = 2 ** 22

/**
 * Makes a memory.
 *
 * @param decode - says what a stored entry means
 * @param capacity - how many are remembered at most, fewer where they are large; the least recently used is forgotten
 */
export function guesses<T>(decode: (entry: Entry) => T, capacity: number): Guesses<T> {
  const memory = new Map<string, Belief<T>>()
  let weight = 0
  let epochs = 0

  function forget(name: string): void {
    weight -= memory.get(name)?.weight ?? 0
    memory.delete(name)
  }

  function remember(name: string, belief: Belief<T> | undefined): void {
    forget(name)
    if (belief === undefined) return
    memory.set(name, belief)
    weight += belief.weight
    while (memory.size > capacity || weight > MAX_WEIGHT) forget(memory.keys().next().value!)
  }

  function guess(name: string, belief: Belief<T>): Guess<T> {
    const { version, holds, epoch } = belief
    // Forgotten counts: what is learnt now is better than nothing.
    const isMine = (): boolean => (memory.get(name)?.epoch ?? epoch) === epoch
    return {
      version,
      holds,
      expect: (next, id) => remember(name, next === undefined ? belief : expected(next, id, epoch)),
      correct(entry) {
        const learnt = learn(entry)
        if (isMine()) remember(name, learnt)
        return guess(name, learnt)
      },
      confirm() {
        if (isMine()) remember(name, { ...belief, epoch: ++epochs })
      },
      forget() {
        if (isMine()) forget(name)
      },
    }
  }

  const learn = (entry: Entry | null): Belief<T> => ({
    version: entry && entry.version,
    holds: entry ? decode(entry) : undefined,
    epoch: ++epochs,
    weight: entry ? entry.value.length : 0,
  })

  return {
    at({ part, key }) {
      const name = `${part}\n${key}`
      return guess(name, memory.get(name) ?? { version: null, epoch: ++epochs, weight: 0 })
    },
  }
}

/** What the entry will hold if the commit takes effect; `undefined` where that is not known beforehand. */
const expected = <T>(next: NextContent<T> | null, version: string, epoch: number): Belief<T> | undefined =>
  next === null
    ? { version: null, epoch, weight: 0 }
    : next.holds === undefined
      ? undefined
      : { version, holds: next.holds, epoch, weight: next.value.length }
