/**
 * A memory of entries: guesses of their content that a commit then checks.
 *
 * Guesses built on each other are right or wrong together: they share an epoch. The first of them to fail corrects the
 * memory for all. Whatever the others report after that is older than the memory, and ignored.
 *
 * @module
 */
import type { Entry, Expiry, EntryKey, Value } from './driver.ts'

/** New content of an entry. */
export interface NextContent<T> {
  readonly value: Value
  readonly expires?: Expiry | undefined
  /** The decoded value; left out if it is not known before the commit. */
  readonly holds?: T
}

/** The remembered content of an entry, as a guess for a change that depends on it. */
export interface Guess<T> {
  /** The version that the entry should have; `null` if it should be absent, or if nothing is known. */
  readonly version: string | null
  /** The decoded value; `undefined` if absent. */
  readonly holds: T | undefined
  /** Assumes that a commit takes effect. `null` deletes the entry, `undefined` leaves it as it is. */
  expect(next: NextContent<T> | null | undefined, id: string): void
  /** The guess was wrong: remembers the real entry. @returns a guess that is right at this moment */
  correct(entry: Entry | null): Guess<T>
  /** The commit failed for another reason; this guess was right. */
  confirm(): void
  /** Forgets the entry: its state is unknown. */
  forget(): void
}

/** A memory of entries of one kind. */
export interface Guesses<T> {
  /** The guess for the entry at a key. */
  at(key: EntryKey): Guess<T>
}

interface Belief<T> {
  readonly version: string | null
  readonly holds?: T | undefined
  /** Guesses built on each other share an epoch and fail together. */
  readonly epoch: number
  /** Size of the stored value, in characters or bytes. */
  readonly weight: number
}

/**
 * The most to remember, in characters or bytes of stored values. A decoded value is about as large as the stored one.
 */
const MAX_WEIGHT = 2 ** 22

/**
 * Makes a memory.
 *
 * @param decode - decodes a stored entry
 * @param capacity - the most entries to remember, fewer if they are large; the least recently used are forgotten
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
    // A forgotten guess counts as well: new knowledge is better than none.
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

/** The guess for the entry after the commit; `undefined` if its content is not known before. */
const expected = <T>(next: NextContent<T> | null, version: string, epoch: number): Belief<T> | undefined =>
  next === null
    ? { version: null, epoch, weight: 0 }
    : next.holds === undefined
      ? undefined
      : { version, holds: next.holds, epoch, weight: next.value.length }
