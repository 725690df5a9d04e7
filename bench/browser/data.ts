/** What is stored in browsers: an event of the log holds a document of 1 kB. */
import { RUN, documentOf, eventOf } from '../data.ts'

/** Events that `load` reads. */
export const EVENTS = 20_000

export const keyOf = (n: number): string => `${RUN}:${String(n).padStart(16, '0')}`
export const recordOf = (n: number): ReturnType<typeof eventOf> => ({ ...eventOf(n), payload: documentOf(n) })
