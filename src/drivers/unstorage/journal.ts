/**
 * The journal: a note of the writes about to be made, and a fence that shows which note counts.
 *
 * A write that was given up, as by a client's timeout, may land much later. So notes and fences are named by numbers,
 * and only the note with the highest number of all counts. A recovery puts up a fence with the next number. From then
 * on every earlier note is void, whenever it lands, and it cannot overwrite another. Only names are compared, so a
 * fence that is cut off or late does no harm. A recovery costs two writes, a commit none.
 *
 * @module
 */
import type { Entry } from '../../core/driver.ts'
import { inParallel } from '../shared/parallel.ts'
import { FENCE, decodeNote, encodeNote } from './items.ts'
import type { UnstorageStorage } from './storage.ts'

/** Entries by name; `null` for a deletion. */
export type Writes = ReadonlyMap<string, Entry | null>

/** The notes under one base. */
export interface Journal {
  /** Stores the note of the writes about to be made. Call {@link Journal.recover} first. */
  begin(writes: Writes): Promise<void>
  /** Removes the note after all writes are made. */
  end(): Promise<void>
  /**
   * Redoes the writes of a note, then voids all notes so far.
   *
   * @param items - the names of all items under the base
   * @param redo - makes the writes of the note; there may be none
   * @returns the writes of the note
   */
  recover(items: readonly string[], redo: (writes: Writes) => Promise<void>): Promise<Writes>
}

/** Makes a journal. @param base - the prefix of all items, without the `:` */
export function journal(storage: UnstorageStorage, base: string): Journal {
  const mark = new RegExp(`^${base}:(?:note|fence)(\\d*)$`)
  // The first releases had one note, without a number. It sorts before all others.
  const noteOf = (number: number): string => `${base}:note${number || ''}`
  let current = 0

  return {
    begin: (writes) => storage.setItem(noteOf(current), encodeNote(writes)),
    end: () => storage.removeItem(noteOf(current)),
    async recover(items, redo) {
      const marks = items.filter((item) => mark.test(item))
      const newest = Math.max(0, ...marks.map((item) => Number(mark.exec(item)![1])))
      const writes = decodeNote(await storage.getItem(noteOf(newest)))
      await redo(writes)
      // Above every number this driver has tried before: that fence may still land.
      current = Math.max(current, newest) + 1
      await storage.setItem(`${base}:fence${current}`, FENCE)
      await inParallel(marks, (item) => storage.removeItem(item))
      return writes
    },
  }
}
