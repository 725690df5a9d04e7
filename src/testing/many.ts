/** Several drivers on the same data, as several processes would have them. @module */
import { equal } from './assert.ts'
import type { Context, GatedCase } from './case.ts'
import { wait } from './context.ts'

/** Where only one process may write there is nothing to promise; where many may, the harness has to bring them. */
export const MANY_WRITERS: Pick<GatedCase, 'needs' | 'otherwise'> = {
  needs: ({ writers }, backend) => writers === 'many' && backend.reopen !== undefined,
  otherwise: async ({ capabilities }) =>
    equal(capabilities.writers, 'one', 'A harness for a driver with many writers must have reopen'),
}

/** Waits for what a replica may show later; looks once where reads are strict. */
export async function eventually(t: Context, holds: () => Promise<boolean>): Promise<boolean> {
  for (let waited = 0; t.capabilities.reads === 'session' && waited < 5000; waited += 50) {
    if (await holds()) return true
    await wait(50)
  }
  return holds()
}
