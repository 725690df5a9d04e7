/**
 * Changes under way, and reads that wait for them.
 *
 * A change may take several requests: one whose guess was wrong is made again. A read that was called after it must not
 * come between two of its requests.
 *
 * @module
 */
import type { Read } from './driver.ts'

/** The reach of a change: one entry, or without a key a whole part. */
export interface Reach {
  readonly part: string
  readonly key?: string | undefined
}

/** A change under way. */
export interface Change {
  /** Returns what it may change. Called only if a read comes meanwhile. */
  readonly reaches: () => readonly Reach[]
  /** Changes are numbered in order. */
  readonly number: number
  hasEnded: boolean
}

/** The changes under way in one database. */
export interface Ongoing {
  /** Adds a change. @param reaches - returns what it may change */
  begin(reaches: () => readonly Reach[]): Change
  /** Removes a change. */
  end(change: Change): void
  /** Resolves when all changes that were added so far and concern the questions have ended; `undefined` if none does. */
  settled(questions: readonly Read[]): Promise<unknown> | undefined
}

/** Changes in the order of their numbers, and those who wait for them. */
interface Line {
  /** Numbers; those before the index `first` have ended. */
  numbers: number[]
  first: number
  /** Later numbers that have ended. */
  readonly ended: Set<number>
  readonly waiters: Waiter[]
}

/** Somebody who waits for all changes up to a number. */
interface Waiter {
  readonly last: number
  readonly promise: Promise<void>
  readonly resolve: () => void
}

/** The changes in one part. */
interface PartLines {
  readonly all: Line
  /** Those that reach every entry. */
  readonly whole: Line
  /** Those of single entries, by key. */
  keys?: Map<string, Line>
}

const line = (): Line => ({ numbers: [], first: 0, ended: new Set(), waiters: [] })

const isEmpty = ({ numbers, first }: Line): boolean => first === numbers.length

/** A change with several reaches enters a line once. */
function enter({ numbers }: Line, number: number): void {
  if (numbers.at(-1) !== number) numbers.push(number)
}

function leave(it: Line, number: number): void {
  const { numbers, ended, waiters } = it
  if (number > numbers[it.first]!) {
    ended.add(number)
    return
  }
  if (number < numbers[it.first]! || isEmpty(it)) return
  do it.first++
  while (ended.delete(numbers[it.first]!))
  const next = numbers[it.first] ?? Infinity
  if (isEmpty(it)) {
    it.numbers = []
    it.first = 0
  }
  while (waiters[0] && waiters[0].last < next) waiters.shift()!.resolve()
}

function settled({ numbers, waiters }: Line): Promise<void> {
  const last = numbers.at(-1)!
  const latest = waiters.at(-1)
  if (latest?.last === last) return latest.promise
  let resolve!: () => void
  const promise = new Promise<void>((done) => (resolve = done))
  waiters.push({ last, promise, resolve })
  return promise
}

/** Makes an empty set of changes. */
export function ongoing(): Ongoing {
  /** Changes that are in no line yet. Most end before anybody asks. Some have ended. */
  let fresh: Change[] = []
  let freshEnded = 0
  /** The reaches of those in lines. */
  const inLine = new Map<Change, readonly Reach[]>()
  const parts = new Map<string, PartLines>()
  let count = 0

  function linesFor({ part, key }: Reach): readonly [all: Line, own: Line] {
    let found = parts.get(part)
    if (!found) parts.set(part, (found = { all: line(), whole: line() }))
    if (key === undefined) return [found.all, found.whole]
    found.keys ??= new Map()
    let own = found.keys.get(key)
    if (!own) found.keys.set(key, (own = line()))
    return [found.all, own]
  }

  function lineUp(): void {
    for (const change of fresh) {
      if (change.hasEnded) continue
      const reaches = change.reaches()
      inLine.set(change, reaches)
      for (const reach of reaches) for (const it of linesFor(reach)) enter(it, change.number)
    }
    fresh = []
    freshEnded = 0
  }

  /** The lines that concern a question. */
  function linesOf(question: Read): readonly (Line | undefined)[] {
    if ('get' in question) {
      const found = parts.get(question.get.part)
      return found ? [found.whole, found.keys?.get(question.get.key)] : []
    }
    if ('range' in question) return [parts.get(question.range.part)?.all]
    const { start, end } = question.parts
    return [...parts].flatMap(([part, { all }]) => (part >= start && part < end ? all : []))
  }

  return {
    begin(reaches) {
      const change: Change = { reaches, number: ++count, hasEnded: false }
      fresh.push(change)
      return change
    },
    end(change) {
      change.hasEnded = true
      const reaches = inLine.size > 0 ? inLine.get(change) : undefined
      if (reaches === undefined) {
        if (++freshEnded < fresh.length / 2) return
        fresh = freshEnded === fresh.length ? [] : fresh.filter(({ hasEnded }) => !hasEnded)
        freshEnded = 0
        return
      }
      inLine.delete(change)
      for (const reach of reaches) {
        const { part, key } = reach
        const [all, own] = linesFor(reach)
        leave(own, change.number)
        leave(all, change.number)
        if (isEmpty(all)) parts.delete(part)
        else if (key !== undefined && isEmpty(own)) parts.get(part)!.keys!.delete(key)
      }
    },
    settled(questions) {
      if (fresh.length > 0) lineUp()
      if (parts.size === 0) return undefined
      let waits: Set<Promise<void>> | undefined
      for (const question of questions) {
        for (const it of linesOf(question)) if (it && !isEmpty(it)) (waits ??= new Set()).add(settled(it))
      }
      if (waits === undefined) return undefined
      return waits.size === 1 ? [...waits][0] : Promise.all(waits)
    },
  }
}
