/** Limits that several drivers share, and what an answer is charged for an entry. @module */
import type { Current, Limits } from './driver.ts'
import { utf8Bytes } from './keys.ts'

/** Of drivers that work synchronously in this process: what can be written while the event loop stands still. */
export const IN_PROCESS_LIMITS: Limits = {
  valueBytes: 2 ** 26,
  requestBytes: 2 ** 28,
  commitKeys: 1e5,
  requestCommits: 1e4,
  requestReads: 1e4,
  rangeEntries: 1e5,
  answerBytes: 2 ** 23,
}

/** Of drivers over a network whose requests and answers hold at most 10 MB, as text inside of text. */
export const NETWORK_LIMITS: Limits = {
  valueBytes: 4 * 2 ** 20,
  requestBytes: 6 * 2 ** 20,
  commitKeys: 1000,
  requestCommits: 1000,
  requestReads: 1000,
  rangeEntries: 1000,
  answerBytes: 6 * 2 ** 20,
}

/** What an answer is charged for each entry besides its key, version and value: what surrounds them on the way. */
const ENTRY_BYTES = 64

/** What an answer is charged for an entry, in bytes. */
export const entryBytes = ({ key, version, value = '' }: Current): number =>
  ENTRY_BYTES + key.length + version.length + (typeof value === 'string' ? utf8Bytes(value) : value.length)

/** What is left of an answer's size. */
export interface Room {
  /** In bytes, from 0. */
  readonly left: number
  /**
   * Takes so many bytes, see {@link entryBytes}; tells whether they fit.
   *
   * @param isForced - for what has to be in the answer even if it does not fit
   */
  takes(bytes: number, isForced?: boolean): boolean
}

/** The room of an answer, in bytes: {@link Limits.answerBytes}. */
export function roomFor(answerBytes: number): Room {
  // No accessor: an object with one takes longer to make than most commits take to judge.
  const room = {
    left: answerBytes,
    takes(bytes: number, isForced = false): boolean {
      if (bytes > room.left && !isForced) return false
      room.left = Math.max(0, room.left - bytes)
      return true
    },
  }
  return room
}

/**
 * Takes an entry; tells whether it fits. Long text that does not is not measured.
 *
 * @param isForced - for what has to be in the answer even if it does not fit
 */
export const takesEntry = (room: Room, entry: Current, isForced = false): boolean =>
  (isForced || (entry.value?.length ?? 0) <= room.left) && room.takes(entryBytes(entry), isForced)
