/** The limits of the HTTP protocol. @module */
import type { Limits } from '../../core/driver.ts'

/** The default size of an answer, in bytes of keys, versions and values. */
export const ANSWER_BYTES: number = 2 ** 22

/** The limits of a server unless its driver or its options are lower, and the limits that callers assume by default. */
export const LIMITS: Limits = {
  valueBytes: 2 ** 20,
  requestBytes: 2 ** 22,
  commitKeys: 1000,
  requestCommits: 1000,
  requestReads: 1000,
  rangeEntries: 1000,
  answerBytes: ANSWER_BYTES,
}

/** The shortest replay window of a server, in milliseconds. */
export const REPLAY_WINDOW = 120_000

/**
 * The least that each key and each value counts toward `requestBytes` in addition to its size: half of the JSON around
 * it. The longest JSON around a key is `{"log":{"part":"","key":""},"last":…},`, and around a value
 * `,"value":{"bytes":…},"expires":{"at":…}`, a part of which is counted for the key.
 */
export const KEY_OVERHEAD = 32
export const VALUE_OVERHEAD = 32

/** The overhead of a key that callers assume by default: enough for most tenants' names as well. */
export const CALLERS_KEY_OVERHEAD = 128

/** Additional bytes of a body, for the JSON around the request and around a thousand commits. */
const ENVELOPE_BYTES = 2 ** 16

/**
 * The longest body of a request of this size. Doubled, because JSON escapes quotation marks and backslashes in keys.
 */
export const bodyBytesOf = (requestBytes: number): number => 2 * requestBytes + ENVELOPE_BYTES

/** The largest request whose body fits into this many bytes. */
export const requestBytesOf = (bodyBytes: number): number => Math.floor((bodyBytes - ENVELOPE_BYTES) / 2)
