/**
 * Following a log: first the stored events, then new ones. Announcements of the backend only say when to look.
 *
 * @module
 */
import { type Known, requireInteger } from '../../core/arguments.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { Page, PageOptions } from '../../core/pages.ts'
import type { RunEvent } from '../../runs/events.ts'
import { type WatchOptions, looks, WATCH } from '../../core/watch.ts'

/** Options of `PersistenceStore.follow`. */
export interface FollowOptions extends WatchOptions {
  /** The seq after which to begin, from 0; 0 by default. */
  readonly after?: number | undefined
  /** How many events to read per request, from 1; 100 by default. */
  readonly limit?: number | undefined
}

/** The options of `PersistenceStore.follow`. */
export const FOLLOW: Known<FollowOptions> = { ...WATCH, after: true, limit: true }

/** A page of a log, and whether the run had ended when it was read. */
export interface LogPage {
  readonly page: Page<RunEvent>
  readonly isOver: boolean
}

/**
 * Yields the events of a log, and waits for more until the run ends.
 *
 * @param part - the part of the run
 * @param read - reads the events after a seq
 */
export async function* followed(
  db: InnerDatabase,
  part: string,
  read: (after: number, options: PageOptions) => Promise<LogPage>,
  { after = 0, limit, ...options }: FollowOptions,
): AsyncGenerator<RunEvent, void> {
  let last = requireInteger(after, 'after')
  const page = { ...(limit !== undefined && { limit }), signal: options.signal }
  const next = (): Promise<LogPage> => read(last, page)
  for await (let found of looks(db, part, next, options)) {
    for (;;) {
      for (const event of found.page.items) {
        last = event.seq
        yield event
      }
      if (found.page.cursor === undefined) break
      found = await next()
    }
    if (found.isOver) return
  }
}
