/**
 * What a set-up goes through in this run. `CI=true` runs every backend's main set-up whole, `HOLDFAST_SUITE=whole` all of
 * them; without either a run is quick.
 */
import { type Depth, selectionsOf } from './selections.ts'

const isCi = process.env['CI'] === 'true'

/** How thorough this run is. */
export const depth: Depth = process.env['HOLDFAST_SUITE'] === 'whole' ? 'whole' : isCi ? 'ci' : 'quick'

export const { costly, slice, driverSlice, thinSlice } = selectionsOf(depth)
