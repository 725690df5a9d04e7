/** Removals that tell what there was. @module */
import type { Database } from './database.ts'
import type { EntryKey } from './driver.ts'
import type { WriteOptions } from './options.ts'

/** Removes entries in one request; tells whether there was one at the first key. */
export async function remove(
  db: Database,
  keys: readonly [EntryKey, ...EntryKey[]],
  options?: WriteOptions,
): Promise<boolean> {
  // The first commit only asks; nothing comes between it and the second.
  const [absent] = await db.commitAll(
    [{ checks: [{ at: keys[0], version: null }] }, { ops: keys.map((key) => ({ delete: key })) }],
    options,
  )
  return !absent!.ok
}
