/** What has been acknowledged on one file, and what was found on it afterwards. */
import { ADDERS, type Ack, COUNTER, SNAPSHOTS, WRITERS, eventKeys } from './content.ts'

/** Between these a number must lie. */
interface Span {
  readonly least: number
  readonly most: number
}

export interface Ledger {
  /** Takes the lines of a writer that was killed. */
  add(acks: readonly Ack[]): void
  /** The acknowledged events: their keys and numbers. */
  readonly events: ReadonlyMap<string, number>
  /** Where each writer goes on, the first effect that it was not told of. */
  next(): Record<string, number>
  /** The number of effects of a writer that may be there: those acknowledged, and the one that was under way. */
  isPossible(writer: string, index: number): boolean
  /** What the counter or a version may be. */
  span(name: string): Span
  /** Notes what a number was found to be: it cannot be less from now on. */
  found(name: string, value: number): void
  /** What was told that could not be true. */
  readonly faults: readonly string[]
  /** How many effects were acknowledged. */
  readonly acknowledged: number
}

export function ledger(): Ledger {
  const events = new Map<string, number>()
  const done = new Map<string, number>(WRITERS.map((writer) => [writer, 0]))
  const least = new Map<string, number>()
  const sums = new Set<number>()
  const faults: string[] = []
  let acknowledged = 0

  const raise = (name: string, value: number): void => void least.set(name, Math.max(value, least.get(name) ?? 0))

  function addOne({ writer, index, told }: Ack): void {
    if (index !== done.get(writer)! + 1) faults.push(`${writer} tells of ${index} after ${done.get(writer)}`)
    done.set(writer, index)
    acknowledged++
    if (ADDERS.includes(writer)) {
      if (told !== undefined && sums.has(told)) faults.push(`The sum ${told} was told twice`)
      if (told !== undefined) sums.add(told)
      raise(COUNTER, told ?? 0)
    } else if (SNAPSHOTS.includes(writer)) raise(writer, told ?? 0)
    else if (writer.includes('.')) {
      const keys = eventKeys(writer, index)
      keys.forEach((key, place) => events.set(key, told === undefined ? 0 : told - keys.length + 1 + place))
    }
  }

  return {
    events,
    faults,
    get acknowledged() {
      return acknowledged
    },
    add: (acks) => acks.forEach(addOne),
    next: () => Object.fromEntries([...done].map(([writer, index]) => [writer, index + 1])),
    isPossible: (writer, index) => index === done.get(writer) || index === done.get(writer)! + 1,
    span(name) {
      const from = least.get(name) ?? 0
      return { least: from, most: from + (name === COUNTER ? ADDERS.length : 1) }
    },
    found: raise,
  }
}
