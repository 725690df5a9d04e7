/** Limits that several drivers share. @module */
import type { Limits } from './driver.ts'

/** Of drivers that work synchronously in this process: what can be written while the event loop stands still. */
export const IN_PROCESS_LIMITS: Limits = {
  valueBytes: 2 ** 26,
  requestBytes: 2 ** 28,
  commitKeys: 1e5,
  requestCommits: 1e4,
  requestReads: 1e4,
  rangeEntries: 1e5,
}
