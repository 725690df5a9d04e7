/**
 * Changes under way, and reads that wait for them.
 *
 * A change may take several requests: one whose guess was wrong is made again. A read that was called after it must not
 * come between two of its requests.
 *
 * @module
 */
import type { Read } from './driver.ts'

/** The reach of a change: one entry, or without a key a whole part. */
export interface Reach {
  readonly part: string
  readonly key?: string | undefined
}

/** A change under way. */
export interface Change {
  /** Returns what it may change. Called only if a read comes meanwhile. */
  readonly reaches: () => readonly Reach[]
  hasEnded: boolean
  /** Tells the reads that wait for it; absent as long as none has come. */
  tell?: () => void
}

/** The changes under way in one database. */
export interface Ongoing {
  /** Adds a change. @param reaches - returns what it may change */
  begin(reaches: () => readonly Reach[]): Change
  /** Removes a change. */
  end(change: Change): void
  /** Resolves when all changes that were added so far and concern the questions have ended; `undefined` if none does. */
  settled(questions: readonly Read[]): Promise<unknown> | undefined
}

/** Follows the name of a part: all changes in it, those of single entries included. */
const ALL = '\t'
/** Separates part and key: the changes of one entry. */
const JOIN = '\n'

/** Makes an empty set of changes. */
export function ongoing(): Ongoing {
  /** Changes that no read has come across yet. Most end before. */
  let fresh: Change[] = []
  let freshEnded = 0
  /** For each place, the end of all changes so far. */
  const ends = new Map<string, Promise<unknown>>()

  function add(place: string, end: Promise<unknown>): void {
    const before = ends.get(place)
    const last = before ? Promise.all([before, end]) : end
    ends.set(place, last)
    void forget(place, last)
  }

  async function forget(place: string, last: Promise<unknown>): Promise<void> {
    await last
    if (ends.get(place) === last) ends.delete(place)
  }

  function lineUp(): void {
    for (const change of fresh) {
      if (change.hasEnded) continue
      const end = new Promise<void>((resolve) => (change.tell = resolve))
      for (const { part, key } of change.reaches()) {
        add(part + ALL, end)
        add(key === undefined ? part : part + JOIN + key, end)
      }
    }
    fresh = []
    freshEnded = 0
  }

  /** The places that concern a question. */
  function placesOf(question: Read): readonly string[] {
    if ('get' in question) return [question.get.part, question.get.part + JOIN + question.get.key]
    if ('range' in question) return [question.range.part + ALL]
    const { start, end } = question.parts
    return [...ends.keys()].filter((place) => place.endsWith(ALL) && place >= start + ALL && place < end + ALL)
  }

  return {
    begin(reaches) {
      const change: Change = { reaches, hasEnded: false }
      fresh.push(change)
      return change
    },
    end(change) {
      change.hasEnded = true
      if (change.tell) change.tell()
      else if (2 * ++freshEnded > fresh.length) {
        fresh = fresh.filter(({ hasEnded }) => !hasEnded)
        freshEnded = 0
      }
    },
    settled(questions) {
      if (fresh.length > 0) lineUp()
      if (ends.size === 0) return undefined
      const waits = new Set<Promise<unknown>>()
      for (const question of questions) {
        for (const place of placesOf(question)) if (ends.has(place)) waits.add(ends.get(place)!)
      }
      return waits.size > 0 ? Promise.all(waits) : undefined
    },
  }
}
