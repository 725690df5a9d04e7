/** Removal that reports whether there was an entry. @module */
import type { Database } from './database.ts'
import type { EntryKey } from './driver.ts'
import type { WriteOptions } from './options.ts'

/** Removes entries in one request. @returns whether the first key had an entry */
export async function remove(
  db: Database,
  keys: readonly [EntryKey, ...EntryKey[]],
  options?: WriteOptions,
): Promise<boolean> {
  // The first commit only checks; nothing comes between it and the second.
  const [absent] = await db.commitAll(
    [{ checks: [{ at: keys[0], version: null }] }, { ops: keys.map((key) => ({ delete: key })) }],
    options,
  )
  return !absent!.ok
}
