/** Tells what the database holds, then writes into it until the browser is killed, and tells of every acknowledgement. */
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import type { Ack, Mode } from '../../crash/content.ts'
import { writeOn } from '../../crash/effects.ts'
import { dump } from './raw.ts'
import { QUERY, report } from './report.ts'

/** A row of the database. */
export interface StoredRow {
  readonly id: string
  readonly version: string
  readonly value: string
}

/** What the program tells: at first what it has found, to be answered with where the writers go on. */
export type WriterReport = { readonly found: readonly StoredRow[] } | { readonly ack: Ack }

const NAME = 'crash'
const holdfast = createHoldfast({ driver: indexedDb({ name: NAME }), durability: 'strict' })
await holdfast.db.open()
const next = (await report({ found: await dump(NAME) })) as Record<string, number> | null
if (next) {
  await writeOn({
    holdfast,
    mode: QUERY.get('mode') as Mode,
    next,
    acknowledge: async (ack) => void (await report({ ack })),
    die: () => {},
  })
}
