/** The stores as they ought to be: over memory, one call at a time, and each by a store that remembers nothing. */
import type { Database } from '../../src/core/database.ts'
import type { Entry, Op } from '../../src/core/driver.ts'
import { CLAIM, RUN, EVERYTHING } from '../../src/core/keys.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { type Call, outcomeOf } from './calls.ts'
import { plain } from './plain.ts'

export interface Oracle {
  /** What the call has to come to. */
  ask(call: Call): Promise<unknown>
  /** Everything there is, but for versions. */
  content(): Promise<unknown>
  /** An oracle of its own that begins with this content. */
  fork(): Promise<Oracle>
}

type Located = Entry & { readonly part: string }

export function oracle(clock: () => number, begin: readonly Located[] = []): Oracle {
  const driver = memory({ clock })
  const fresh = () => createHoldfast({ driver, clock })
  const ops = begin.map(({ part, key, value, expiresAt }): Op => {
    return { put: { part, key }, value, ...(expiresAt !== null && { expires: { at: expiresAt } }) }
  })
  const started = fresh().db.commit({ ops })
  return {
    ask: (call) => outcomeOf(fresh(), call),
    content: () => contentOf(fresh().db),
    async fork() {
      await started
      return oracle(clock, await entriesOf(fresh().db))
    },
  }
}

/** Everything a database holds, but for versions and the ids of claims and of lives, which no two of them share. */
export async function contentOf(db: Database): Promise<unknown> {
  const entries = await entriesOf(db)
  return entries.map((entry) => {
    const mine = entry.key.startsWith(CLAIM) ? /"id":"[^"]*"/ : entry.key === RUN ? /"life":"[^"]*",?/ : undefined
    const value = mine ? String(entry.value).replace(mine, '') : entry.value
    return plain({ ...entry, value, version: '' })
  })
}

async function entriesOf(db: Database): Promise<Located[]> {
  const { rangeEntries: limit } = db.driver.capabilities.limits
  const [{ parts }] = await db.read([{ parts: { ...EVERYTHING, limit } }])
  const pages = await Promise.all(parts.map((part) => db.read([{ range: { part, ...EVERYTHING, limit } }])))
  return pages.flatMap(([page], i) => page.entries.map((entry) => ({ part: parts[i]!, ...entry })))
}
