/**
 * Whether a history could have been: whether every call can be given a moment between its beginning and its end, such
 * that one after the other they make sense.
 *
 * The search is that of Wing and Gong with the memory of Lowe: the next call of some client is taken if no other call
 * had ended before it began; a point that was reached before, by whatever way, is not looked at again.
 */
import type { CounterAction, LogAction, Operation, RegisterAction } from './history.ts'

/** What a sequential object does: the state after the action, or `undefined` where the action cannot be. */
export type Model<A> = (state: string | null, action: A) => string | null | undefined

/** Registers hold the last content set. */
export const register: Model<RegisterAction> = (state, action) => {
  if ('get' in action) return action.get === state ? state : undefined
  if (!('won' in action)) return action.set
  if (action.won) return action.expected === state ? action.set : undefined
  const isRightToLose = action.expected !== state && (action.found === undefined || action.found === state)
  return isRightToLose ? state : undefined
}

/** Counters answer with the sum. */
export const counter: Model<CounterAction> = (state, { by, sum }) =>
  Number(state ?? 0) + by === sum ? String(sum) : undefined

interface Point {
  /** How many calls of each client come before this point. */
  readonly behind: readonly number[]
  readonly state: string | null
}

/** Whether the calls, all to one object, have an order that explains what they were told. */
export function isLinearizable<A>(history: readonly Operation<A>[], model: Model<A>): boolean {
  const clients = byClient(history)
  const seen = new Set<string>()
  const open: Point[] = [{ behind: clients.map(() => 0), state: null }]
  for (let point = open.pop(); point; point = open.pop()) {
    const { behind, state } = point
    const next = clients.map((calls, c) => calls[behind[c]!])
    if (next.every((call) => call === undefined)) return true
    const firstEnd = next.reduce<bigint | undefined>(
      (least, call) => (call && (least === undefined || call.to < least) ? call.to : least),
      undefined,
    )
    next.forEach((call, c) => {
      if (call === undefined || call.from > firstEnd!) return
      const after = model(state, call.action)
      if (after === undefined) return
      const further = { behind: behind.with(c, behind[c]! + 1), state: after }
      const name = `${further.behind.join()} ${after}`
      if (seen.has(name)) return
      seen.add(name)
      open.push(further)
    })
  }
  return false
}

function byClient<A>(history: readonly Operation<A>[]): Operation<A>[][] {
  const clients = new Map<string, Operation<A>[]>()
  for (const call of history) {
    const calls = clients.get(call.client) ?? []
    clients.set(call.client, calls)
    calls.push(call)
  }
  const all = [...clients.values()]
  for (const calls of all) {
    calls.sort((a, b) => (a.from < b.from ? -1 : 1))
    calls.forEach((call, i) => {
      if (i > 0 && call.from < calls[i - 1]!.to) throw new Error(`${call.client} made two calls at once`)
    })
  }
  return all
}

/**
 * What is wrong with a log: numbers that are missing or given twice, that go back in time, a batch with others between
 * its entries, reads that miss what was appended before, tell of what was not yet, or show other content.
 */
export function faultsOfLog(history: readonly Operation<LogAction>[]): string[] {
  const faults: string[] = []
  const appended = new Map<number, { readonly text: string; readonly from: bigint }>()
  const ends: { readonly from: bigint; readonly to: bigint; readonly first: number; readonly last: number }[] = []
  for (const { action, from, to } of history) {
    if (!('append' in action)) continue
    const { seqs } = action
    const first = seqs[0]!
    if (seqs.some((seq, i) => seq !== first + i)) faults.push(`A batch has the numbers ${seqs.join()}`)
    seqs.forEach((seq, i) => {
      if (appended.has(seq)) faults.push(`${seq} was given twice`)
      appended.set(seq, { text: contentAt(action.append, i), from })
    })
    ends.push({ from, to, first, last: first + seqs.length - 1 })
  }
  const inside = new Set(ends.flatMap(({ first, last }) => Array.from({ length: last - first }, (_, i) => first + i)))
  for (let seq = 1; seq <= appended.size; seq++) if (!appended.has(seq)) faults.push(`${seq} is missing`)

  /** The highest number that was given before a moment. */
  const inOrderOfEnd = ends.toSorted((a, b) => (a.to < b.to ? -1 : 1))
  const highest = inOrderOfEnd.map(() => 0)
  inOrderOfEnd.forEach(({ last }, i) => (highest[i] = Math.max(last, highest[i - 1] ?? 0)))
  const lastBefore = (moment: bigint): number => {
    const i = inOrderOfEnd.findIndex(({ to }) => to >= moment)
    return (i < 0 ? highest.at(-1) : highest[i - 1]) ?? 0
  }

  for (const { from, first } of ends) {
    const before = lastBefore(from)
    if (first <= before) faults.push(`${first} was given after ${before}`)
  }
  for (const { action, from, to } of history) {
    if (!('entries' in action)) continue
    const { entries } = action
    if (entries.length < lastBefore(from))
      faults.push(`${lastBefore(from)} was there, only ${entries.length} were read`)
    if (inside.has(entries.length)) faults.push(`${entries.length} was read without the rest of its batch`)
    entries.forEach((text, i) => {
      const entry = appended.get(i + 1)
      if (entry?.text !== text) faults.push(`${i + 1} is ${entry?.text}, and was read as ${text}`)
      else if (entry.from > to) faults.push(`${i + 1} was read before it was appended`)
    })
  }
  return faults
}

/** What the entries of a batch hold. */
export const contentAt = (append: string, index: number): string => `${append}.${index}`
