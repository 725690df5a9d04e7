/**
 * Watching: values, and what has changed since the last look. Announcements only say when to look; what is reported rests on
 * the versions that are read then, so a lost, late or repeated one costs time and nothing else.
 *
 * @module
 */
import { sleep } from './abort.ts'
import type { Known } from './arguments.ts'
import { bell } from './bell.ts'
import type { InnerDatabase } from './database.ts'
import type { CallOptions } from './driver.ts'
import { type Duration, toMilliseconds } from './duration.ts'
import { invalid } from './errors.ts'

/** The values that are watched: those under some keys, or under all keys that begin with a prefix. */
export type Watched = readonly string[] | { readonly prefix: string }

/** Options of `StateStore.watch`. */
export interface WatchOptions extends CallOptions {
  /**
   * The longest between two looks, from 1 ms to 10^9 ms. Where the backend announces changes it is only needed
   * for values that expire and for announcements that are lost: 30 s by default; otherwise 1 s.
   */
  readonly pollInterval?: Duration | undefined
}

/** The options of calls that watch. */
export const WATCH: Known<WatchOptions> = { signal: true, pollInterval: true }

/** What comes so soon after a change belongs to the same report, in milliseconds. */
const BURST = 10
const ANNOUNCED = 30_000
const POLLED = 1000

/**
 * Looks again and again: at once, then whenever a change is announced, or after a while.
 *
 * @param part - where all of it lies
 * @param look - reads it
 */
export async function* looks<T>(
  db: InnerDatabase,
  part: string,
  look: () => Promise<T>,
  { pollInterval = db.announces ? ANNOUNCED : POLLED, signal }: WatchOptions,
): AsyncGenerator<T, void> {
  const interval = toMilliseconds(pollInterval, 'pollInterval', 1, 1e9)
  const { ring, silence, wait } = bell()
  // Before the first look: what comes between the two must not be missed.
  const unwatch = db.watch((it) => it === part, ring)
  try {
    for (;;) {
      // What rings during a look calls for another one.
      silence()
      yield await look()
      await wait(interval, signal)
      await sleep(BURST, signal)
    }
  } finally {
    unwatch()
  }
}

/**
 * Reports what has changed, as often as it is asked to.
 *
 * @param part - where all of it lies
 * @param look - reads the version of everything that is there
 */
export async function* changes(
  db: InnerDatabase,
  part: string,
  look: () => Promise<ReadonlyMap<string, string>>,
  options: WatchOptions,
): AsyncGenerator<string[], void> {
  let known: ReadonlyMap<string, string> | undefined
  for await (const found of looks(db, part, look, options)) {
    const before = known
    known = found
    if (!before) yield [...found.keys()]
    else {
      const changed = [...new Set([...before.keys(), ...found.keys()])].filter(
        (key) => before.get(key) !== found.get(key),
      )
      if (changed.length > 0) yield changed
    }
  }
}

/** @throws `INVALID_ARGUMENT` for what is neither keys nor a prefix */
export function requireWatched(watched: Watched): Watched {
  if (Array.isArray(watched) || typeof (watched as { prefix?: unknown } | null)?.prefix === 'string') return watched
  throw invalid('watched must be an array of keys, or an object with a prefix')
}
