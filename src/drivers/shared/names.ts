/** Names of entries for stores that have one order of keys: part and key in one. @module */
import type { EntryKey, PartPage, PartRange } from '../../core/driver.ts'
import { type Room, takesPart } from '../../core/limits.ts'
import type { SortedMap } from './sorted.ts'

/** Separates part and key. It sorts below every character of either, so joined names sort as the pairs do. */
export const JOIN = '\n'

/** Sorts right after the separator: a part and this are the end of the part's names. */
export const AFTER = '\v'

/** The name of an entry. */
export const nameOf = ({ part, key }: EntryKey): string => part + JOIN + key

/** The bounds of the names of a part. */
export const boundsOf = (part: string): { start: string; end: string } => ({ start: part + JOIN, end: part + AFTER })

/** The key in a name. */
export const keyIn = (name: string): string => name.slice(name.indexOf(JOIN) + 1)

/** Lists the parts of names, in order, as many as fit into the room of the answer. */
export function partPage(names: SortedMap<unknown>, { start, end, limit }: PartRange, room: Room): PartPage {
  const parts: string[] = []
  for (let from = start; ;) {
    const [next] = names.range(from, end)
    if (!next) return { parts, more: false }
    const part = next[0].split(JOIN)[0]!
    if (parts.length === limit || !takesPart(room, part, parts.length === 0)) return { parts, more: true }
    parts.push(part)
    from = part + AFTER
  }
}
