/** Several drivers on the same data, like several processes. @module */
import { equal } from './assert.ts'
import type { Context, GatedCase } from './case.ts'
import { wait } from './context.ts'

/** Drivers that allow one process have nothing to check here. For the others, the harness must provide `reopen`. */
export const MANY_WRITERS: Pick<GatedCase, 'needs' | 'otherwise'> = {
  needs: ({ writers }, backend) => writers === 'many' && backend.reopen !== undefined,
  otherwise: async ({ capabilities }) =>
    equal(capabilities.writers, 'one', 'A harness for a driver with many writers must have reopen'),
}

/** Waits for data that a replica may show late. If reads are strict, looks once. */
export async function eventually(t: Context, holds: () => Promise<boolean>): Promise<boolean> {
  for (let waited = 0; t.capabilities.reads === 'session' && waited < 5000; waited += 50) {
    if (await holds()) return true
    await wait(50)
  }
  return holds()
}
