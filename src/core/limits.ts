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

/** Of drivers over a network whose requests and answers hold at most 10 MB, as text inside of text. */
export const NETWORK_LIMITS: Limits = {
  valueBytes: 4 * 2 ** 20,
  requestBytes: 6 * 2 ** 20,
  commitKeys: 1000,
  requestCommits: 1000,
  requestReads: 1000,
  rangeEntries: 1000,
}
