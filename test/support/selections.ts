/** Which cases of the suite a set-up goes through. Pure, so that browsers and other runtimes choose alike. */
import { type Case, cases } from '../../src/testing/index.ts'

/**
 * How thorough a run is: `quick` for `npm test` on a developer's machine, `ci` with `CI=true`, `whole` for the long runs.
 */
export type Depth = 'quick' | 'ci' | 'whole'

/** One in so many of the stores' cases, where the driver's cases all run. */
const STORES = 12
/** One in so many of all cases. */
const THIN = 40
/** One in so many of the driver's cases, in a quick run. */
const DRIVER = 3

/** The cases for each kind of set-up. */
export interface Selections {
  /** For a backend's main set-up where each case costs a round trip to a server, a browser or another runtime. */
  readonly costly: readonly Case[]
  /** For another way to code that goes through all cases elsewhere: the driver's cases, and some of each store. */
  readonly slice: readonly Case[]
  /** For what differs in the driver alone. */
  readonly driverSlice: readonly Case[]
  /** For what only carries the bytes. */
  readonly thinSlice: readonly Case[]
}

const ofDriver = cases.filter(({ group }) => group === 'driver')
const slice = [...ofDriver, ...cases.filter(({ group }) => group !== 'driver').filter((_, i) => i % STORES === 0)]
const thinSlice = cases.filter((_, i) => i % THIN === 3)

const SELECTIONS: Readonly<Record<Depth, Selections>> = {
  quick: {
    costly: slice,
    slice: thinSlice,
    driverSlice: ofDriver.filter((_, i) => i % DRIVER === 0),
    thinSlice,
  },
  ci: { costly: cases, slice, driverSlice: ofDriver, thinSlice },
  whole: { costly: cases, slice: cases, driverSlice: cases, thinSlice: cases },
}

/** The selections of a run. */
export const selectionsOf = (depth: Depth): Selections => SELECTIONS[depth]
