/** Limits that several drivers share, and the size of an entry in an answer. @module */
import type { Current, Limits } from './driver.ts'
import { utf8Bytes } from './keys.ts'

/** For drivers that work synchronously in this process: the event loop stands still while they write. */
export const IN_PROCESS_LIMITS: Limits = {
  valueBytes: 2 ** 26,
  requestBytes: 2 ** 28,
  commitKeys: 1e5,
  requestCommits: 1e4,
  requestReads: 1e4,
  rangeEntries: 1e5,
  answerBytes: 2 ** 23,
}

/** For drivers over a network whose requests and answers hold at most 10 MB, as text inside text. */
export const NETWORK_LIMITS: Limits = {
  valueBytes: 4 * 2 ** 20,
  requestBytes: 6 * 2 ** 20,
  commitKeys: 1000,
  requestCommits: 1000,
  requestReads: 1000,
  rangeEntries: 1000,
  answerBytes: 6 * 2 ** 20,
}

/**
 * Bytes counted for each entry of an answer in addition to its key, version and value: its share of the syntax around
 * it.
 */
const ENTRY_BYTES = 64

/** The bytes that an entry takes up in an answer, without its value. */
export const headBytes = (key: string, version: string): number => ENTRY_BYTES + key.length + version.length

/** The bytes that an entry takes up in an answer. */
export const entryBytes = ({ key, version, value = '' }: Current): number =>
  headBytes(key, version) + (typeof value === 'string' ? utf8Bytes(value) : value.length)

/** The room left in an answer. */
export interface Room {
  /** In bytes, from 0. */
  readonly left: number
  /**
   * Takes up room, see {@link entryBytes}.
   *
   * @param isForced - takes the room even if it is not there, for content that the answer must have
   * @returns whether the bytes were taken
   */
  takes(bytes: number, isForced?: boolean): boolean
}

/** Makes the room of an answer. @param answerBytes - its size, see {@link Limits.answerBytes} */
export function roomFor(answerBytes: number): Room {
  // No accessor: creating an object with one takes longer than judging most commits.
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
 * Takes up room for an entry. Text that is clearly too long is not measured.
 *
 * @param isForced - takes the room even if it is not there, for an entry that the answer must have
 * @returns whether the entry was taken
 */
export const takesEntry = (room: Room, entry: Current, isForced = false): boolean =>
  (isForced || (entry.value?.length ?? 0) <= room.left) && room.takes(entryBytes(entry), isForced)

/** Takes up room for the name of a part. @param isForced - see {@link takesEntry} */
export const takesPart = (room: Room, part: string, isForced = false): boolean =>
  room.takes(entryBytes({ key: part, version: '', expiresAt: null }), isForced)
