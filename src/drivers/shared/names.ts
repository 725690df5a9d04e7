/** Names of entries for stores that have one order of keys: part and key in one. @module */
import type { EntryKey, PartPage, PartRange } from '../../core/driver.ts'
import type { SortedMap } from './sorted.ts'

/** Separates part and key. It sorts below every character of either, so joined names sort as the pairs do. */
export const JOIN = '\n'

/** Sorts right after the separator: a part and this are the end of the part's names. */
export const AFTER = '\v'

/** The name of an entry. */
export const nameOf = ({ part, key }: EntryKey): string => part + JOIN + key

/** The key in a name. */
export const keyIn = (name: string): string => name.slice(name.indexOf(JOIN) + 1)

/** Lists the parts of names, in order. */
export function partPage(names: SortedMap<unknown>, { start, end, limit }: PartRange): PartPage {
  const parts: string[] = []
  for (let from = start; ;) {
    const [next] = names.range(from, end)
    if (!next || parts.length === limit) return { parts, more: !!next }
    const part = next[0].split(JOIN)[0]!
    parts.push(part)
    from = part + AFTER
  }
}
