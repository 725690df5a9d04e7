/**
 * Watching values for changes. Announcements only say when to read; reports rest on the versions read then. So a lost,
 * late or repeated announcement costs time and nothing else.
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

/** The values to watch: those under some keys, or under all keys with a prefix. */
export type Watched = readonly string[] | { readonly prefix: string }

/** Options of `StateStore.watch`. */
export interface WatchOptions extends CallOptions {
  /**
   * The longest time between two reads, in milliseconds, 1 to 10^9. If the backend announces changes, polling only
   * serves for expired values and lost announcements: 30 000 by default. Otherwise 1000 by default.
   */
  readonly pollInterval?: Duration | undefined
}

/** The options of calls that watch. */
export const WATCH: Known<WatchOptions> = { signal: true, pollInterval: true }

/** Changes this close together belong to the same report, in milliseconds. */
const BURST = 10
const ANNOUNCED = 30_000
const POLLED = 1000

/**
 * Reads repeatedly: at once, then after each announced change or after the poll interval.
 *
 * @param part - the part to watch
 * @param look - reads the part
 */
export async function* looks<T>(
  db: InnerDatabase,
  part: string,
  look: () => Promise<T>,
  { pollInterval = db.announces ? ANNOUNCED : POLLED, signal }: WatchOptions,
): AsyncGenerator<T, void> {
  const interval = toMilliseconds(pollInterval, 'pollInterval', 1, 1e9)
  const { ring, silence, wait } = bell()
  // Before the first read: a change between the two must not be missed.
  const unwatch = db.watch((it) => it === part, ring)
  try {
    for (;;) {
      // An announcement during a read calls for another read.
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
 * Yields the keys that have changed since the last report, all keys first.
 *
 * @param part - the part to watch
 * @param look - reads the version of every key
 */
export async function* changes(
  db: InnerDatabase,
  part: string,
  look: () => Promise<ReadonlyMap<string, string>>,
  options: WatchOptions,
): AsyncGenerator<string[], void> {
  let previous: ReadonlyMap<string, string> | undefined
  for await (const current of looks(db, part, look, options)) {
    const before = previous
    previous = current
    if (!before) yield [...current.keys()]
    else {
      const changed = [...new Set([...before.keys(), ...current.keys()])].filter(
        (key) => before.get(key) !== current.get(key),
      )
      if (changed.length > 0) yield changed
    }
  }
}

/** @throws `INVALID_ARGUMENT` for anything but an array of keys or an object with a prefix */
export function requireWatched(watched: Watched): Watched {
  if (Array.isArray(watched) || typeof (watched as { prefix?: unknown } | null)?.prefix === 'string') return watched
  throw invalid('watched must be an array of keys, or an object with a prefix')
}
