/** A client that makes random calls and notes what it was told. */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { createDatabase, innerOf } from '../../src/core/database.ts'
import type { Driver, Entry } from '../../src/core/driver.ts'
import { EVERYTHING } from '../../src/core/keys.ts'
import { stateStore } from '../../src/stores/state/store.ts'
import { randomFrom } from '../support/random.ts'
import { contentAt } from './checker.ts'
import {
  type CounterAction,
  type History,
  type LogAction,
  type RegisterAction,
  type Operation,
  timed,
} from './history.ts'

export interface ClientOptions {
  readonly driver: Driver
  readonly name: string
  readonly seed: number
  readonly calls: number
}

const REGISTERS = ['k0', 'k1']
/** Two accounts in two parts; only the sum is known, and each transfer writes both. */
const ACCOUNTS = [
  { part: 'account!a', key: 'a' },
  { part: 'account!b', key: 'b' },
] as const
const PAIR = 'the pair of accounts'
const TOTAL = 100
const LOG = { part: 'journal', key: 'log!' }

const versionOf = (entry: Entry | null): string | null => entry && entry.version

/** Makes the calls, one after the other. */
export async function runClient({ driver, name, seed, calls }: ClientOptions): Promise<History> {
  const db = innerOf(createDatabase({ driver, durability: 'relaxed' }))
  const state = stateStore(db)
  const random = randomFrom(seed)
  const registers: Record<string, Operation<RegisterAction>[]> = {}
  const sums: Operation<CounterAction>[] = []
  const log: Operation<LogAction>[] = []
  const faults: string[] = []
  /** The versions last seen. */
  const seen: Record<string, string | null> = {}

  async function onRegister(register: string, call: () => Promise<RegisterAction>): Promise<void> {
    const operation = await timed(name, call)
    const { action } = operation
    ;(registers[register] ??= []).push(operation)
    seen[register] = 'get' in action ? action.get : 'won' in action && !action.won ? (action.found ?? null) : action.set
  }

  const read = async (key: string): Promise<RegisterAction> => {
    const [entry] = await db.read([{ get: { part: 'registers', key } }])
    return { get: versionOf(entry) }
  }

  const write = async (key: string): Promise<RegisterAction> => {
    const id = db.newId()
    await db.commit({ id, ops: [{ put: { part: 'registers', key }, value: id }] })
    return { set: id }
  }

  const compareAndSet = async (key: string): Promise<RegisterAction> => {
    const id = db.newId()
    const expected = seen[key] ?? null
    const at = { part: 'registers', key }
    const outcome = await db.commit({ id, checks: [{ at, version: expected }], ops: [{ put: at, value: id }] })
    if (outcome.ok) return { expected, set: id, won: true }
    return { expected, set: id, won: false, found: versionOf(outcome.failed[0]!.current as Entry | null) }
  }

  /** Both accounts, in one view: a transfer is the version of both. */
  async function balances(): Promise<{ version: string | null; amounts: [number, number] }> {
    const [a, b] = await db.read([{ get: ACCOUNTS[0] }, { get: ACCOUNTS[1] }])
    const amounts: [number, number] = [Number(a?.value ?? TOTAL), Number(b?.value ?? 0)]
    if (amounts[0] + amounts[1] !== TOTAL) faults.push(`${name} saw the balances ${amounts.join(' and ')}`)
    if (versionOf(a) !== versionOf(b)) faults.push(`${name} saw half of a transfer`)
    return { version: versionOf(a), amounts }
  }

  async function transfer(): Promise<void> {
    let amounts: [number, number] = [0, 0]
    await onRegister(PAIR, async () => {
      const { version, amounts: found } = await balances()
      amounts = found
      return { get: version }
    })
    await onRegister(PAIR, async () => {
      const id = db.newId()
      const expected = seen[PAIR] ?? null
      const amount = Math.floor(random() * 10)
      const after = [amounts[0] - amount, amounts[1] + amount]
      const outcome = await db.commit({
        id,
        checks: ACCOUNTS.map((at) => ({ at, version: expected })),
        ops: ACCOUNTS.map((at, i) => ({ put: at, value: String(after[i]) })),
      })
      if (outcome.ok) return { expected, set: id, won: true }
      return { expected, set: id, won: false, found: versionOf(outcome.failed[0]!.current as Entry | null) }
    })
  }

  const append = async (): Promise<LogAction> => {
    const id = db.newId()
    const length = random() < 0.3 ? 3 : 1
    const outcome = await db.commit({
      ops: Array.from({ length }, (_, i) => ({ append: LOG, value: contentAt(id, i) })),
    })
    return { append: id, seqs: outcome.ok ? outcome.seqs : [] }
  }

  const readLog = async (): Promise<LogAction> => {
    const [{ entries }] = await db.read([
      { range: { part: LOG.part, ...EVERYTHING, limit: driver.capabilities.limits.rangeEntries } },
    ])
    return { entries: entries.map((entry) => String(entry.value)) }
  }

  const add = async (): Promise<CounterAction> => {
    const by = 1 + Math.floor(random() * 3)
    return { by, sum: await state.increment('counter', { by }) }
  }

  await db.open()
  for (let i = 0; i < calls; i++) {
    const key = REGISTERS[Math.floor(random() * REGISTERS.length)]!
    const choice = random()
    if (choice < 0.25) await onRegister(key, () => read(key))
    else if (choice < 0.35) await onRegister(key, () => write(key))
    else if (choice < 0.55) await onRegister(key, () => compareAndSet(key))
    else if (choice < 0.7) await transfer()
    else if (choice < 0.8) log.push(await timed(name, append))
    else if (choice < 0.88) log.push(await timed(name, readLog))
    else sums.push(await timed(name, add))
    if (random() < 0.1) await setTimeout(random() * 3)
    else if (random() < 0.3) await setImmediate()
  }
  await db.close()
  return { registers, counter: sums, log, faults }
}
