/** Removal that reports whether there was an entry. @module */
import type { Database, WriteOptions } from './database.ts'
import type { Key } from './driver.ts'

/** Removes entries in one request. @returns whether the first key had an entry */
export async function remove(db: Database, keys: readonly [Key, ...Key[]], options?: WriteOptions): Promise<boolean> {
  // The first commit only checks; nothing comes between it and the second.
  const [absent] = await db.commitAll(
    [{ checks: [{ at: keys[0], version: null }] }, { ops: keys.map((key) => ({ delete: key })) }],
    options,
  )
  return !absent!.ok
}
