/**
 * What a backend goes through where the whole suite would take too long; with `HOLDFAST_SUITE=whole` it is the whole suite
 * after all.
 */
import { type Case, cases } from '../../src/testing/index.ts'

const isWhole = process.env['HOLDFAST_SUITE'] === 'whole'

/** One in so many of the stores' cases. */
const STORES = 12
/** One in so many of all, for what only carries the bytes of a driver that goes through more elsewhere. */
const THIN = 40

/** All of the driver's cases. */
export const driverSlice: readonly Case[] = isWhole ? cases : cases.filter(({ group }) => group === 'driver')

/** All of the driver's cases, and some of each store. */
export const slice: readonly Case[] = isWhole
  ? cases
  : [
      ...cases.filter(({ group }) => group === 'driver'),
      ...cases.filter(({ group }) => group !== 'driver').filter((_, i) => i % STORES === 0),
    ]

/** Some of each group. */
export const thinSlice: readonly Case[] = isWhole ? cases : cases.filter((_, i) => i % THIN === 3)
