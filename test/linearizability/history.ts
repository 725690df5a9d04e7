/** What clients did, and when. */

/** A call: it took effect, if at all, between the two moments, in nanoseconds of a clock all processes share. */
export interface Operation<A> {
  /** Who made it; a client makes one call at a time. */
  readonly client: string
  readonly from: bigint
  readonly to: bigint
  /** What it did and what it was told. */
  readonly action: A
}

/** Notes when a call begins and ends. */
export async function timed<A>(client: string, call: () => Promise<A>): Promise<Operation<A>> {
  const from = process.hrtime.bigint()
  const action = await call()
  return { client, from, to: process.hrtime.bigint(), action }
}

/** What a client may do to a register, with what it was told. Versions name contents, for no content is written twice. */
export type RegisterAction =
  | { readonly get: string | null }
  | { readonly set: string }
  /** Compare and set; `found` is what was there where it lost. */
  | { readonly expected: string | null; readonly set: string; readonly won: boolean; readonly found?: string | null }

export type LogAction =
  | { readonly append: string; readonly seqs: readonly number[] }
  /** The log as it was read, from its beginning. */
  | { readonly entries: readonly string[] }

export interface CounterAction {
  readonly by: number
  readonly sum: number
}

/** Everything that one or more clients did. */
export interface History {
  /** By the name of the register. */
  readonly registers: Readonly<Record<string, readonly Operation<RegisterAction>[]>>
  readonly counter: readonly Operation<CounterAction>[]
  readonly log: readonly Operation<LogAction>[]
  /** What was seen that could never be, whatever the order. */
  readonly faults: readonly string[]
}

/** The histories of several clients as one. */
export function merge(histories: readonly History[]): History {
  const registers: Record<string, Operation<RegisterAction>[]> = {}
  for (const history of histories) {
    for (const [name, calls] of Object.entries(history.registers)) (registers[name] ??= []).push(...calls)
  }
  return {
    registers,
    counter: histories.flatMap((history) => history.counter),
    log: histories.flatMap((history) => history.log),
    faults: histories.flatMap((history) => history.faults),
  }
}
