/** What a backend goes through where the whole suite would take too long: all of the driver's cases, and some of each store. */
import { type Case, cases } from '../../src/testing/index.ts'

/** One in so many. */
const STORES = 12

export const slice: readonly Case[] = [
  ...cases.filter(({ group }) => group === 'driver'),
  ...cases.filter(({ group }) => group !== 'driver').filter((_, i) => i % STORES === 0),
]
