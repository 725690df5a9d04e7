/**
 * What is about to be written, noted as one item, and the fence that tells which note counts.
 *
 * A write that was given up, as by a client's timeout, may land much later. So a note is named by a number, and so is
 * the fence; the note of the highest number counts. Whoever has looked for it puts up a fence of the next number: from
 * then on the note is void, whenever it lands, and it lands on the place of no other. Only names are compared, so a
 * fence that is cut off or late does no harm. That takes two writes per recovery, none per commit.
 *
 * @module
 */
import type { Entry } from '../../core/driver.ts'
import { inParallel } from '../shared/parallel.ts'
import { FENCE, decodeNote, encodeNote } from './items.ts'
import type { UnstorageStorage } from './storage.ts'

/** Entries by name; `null` for what is taken away. */
export type Writes = ReadonlyMap<string, Entry | null>

/** The notes under one base. */
export interface Journal {
  /** Notes what is about to be written; after {@link Journal.recover} only. */
  begin(writes: Writes): Promise<void>
  /** Takes the note away: all of it is written. */
  end(): Promise<void>
  /**
   * Has done what is noted, then voids every note so far.
   *
   * @param items - the names of all items under the base
   * @param redo - writes what was noted, which may be nothing
   * @returns what was noted
   */
  recover(items: readonly string[], redo: (writes: Writes) => Promise<void>): Promise<Writes>
}

/** Makes a journal; `base` is what comes before the `:` of all items. */
export function journal(storage: UnstorageStorage, base: string): Journal {
  const mark = new RegExp(`^${base}:(?:note|fence)(\\d*)$`)
  // Once there was one note, without a number: it comes before all others.
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
      // Above what this driver has tried before, too: that fence may be on its way.
      current = Math.max(current, newest) + 1
      await storage.setItem(`${base}:fence${current}`, FENCE)
      await inParallel(marks, (item) => storage.removeItem(item))
      return writes
    },
  }
}
