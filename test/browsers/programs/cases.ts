/** Which cases run where in a browser: chosen alike by the test and by the program. */
import type { Case } from '../../../src/testing/index.ts'
import { type Depth, selectionsOf } from '../../support/selections.ts'
import type { Realm } from './report.ts'

/** The cases of each realm: the page's are the backend's own, a worker has the same engine, a port carries the bytes. */
export const casesOf = (wanted: Depth): Readonly<Record<Realm, readonly Case[]>> => {
  const { costly, slice, thinSlice } = selectionsOf(wanted)
  return { page: costly, worker: slice, channel: thinSlice }
}
