/** Over every driver the stores do what they do over memory without any memory of their own, also when calls meet. */
import { deepStrictEqual } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { type Engine, engines, withDirectory } from '../support/engines.ts'
import { type Call, type Step, bursts, outcomeOf, sequences } from './calls.ts'
import { type Oracle, contentOf, oracle } from './oracle.ts'
import { LONG, modelRuns, settings } from './plain.ts'

const START = 1_000_000

async function play(engine: Engine, path: string, history: readonly Step[]): Promise<void> {
  let now = START
  const clock = () => now
  const first = await engine.make(path, clock)
  const drivers: Driver[] = [first, engine.isFile ? await engine.make(path, clock) : first]
  const clients = drivers.map((driver) => createHoldfast({ driver, clock, durability: 'relaxed' }))
  let expected = oracle(clock)
  try {
    for (const step of history) {
      if ('advance' in step) now += step.advance
      else if ('call' in step) {
        deepStrictEqual(await outcomeOf(clients[step.client]!, step.call), await expected.ask(step.call))
      } else expected = await playBurst(clients, step.burst, expected)
    }
    deepStrictEqual(await contentOf(clients[0]!.db), await expected.content())
  } finally {
    for (const client of clients) await client.close()
  }
}

/** Whatever the calls came to, they must have come to it in some order. */
async function playBurst(
  clients: readonly Holdfast[],
  burst: readonly { client: number; call: Call }[],
  before: Oracle,
): Promise<Oracle> {
  const outcomes = await Promise.all(burst.map(({ client, call }) => outcomeOf(clients[client]!, call)))
  const content = await contentOf(clients[0]!.db)
  for (const order of orders(burst.length)) {
    const after = await before.fork()
    let fits = true
    for (const i of order) fits &&= isDeepStrictEqual(await after.ask(burst[i]!.call), outcomes[i])
    if (fits && isDeepStrictEqual(await after.content(), content)) return after
  }
  const told = burst.map(({ client, call }, i) => ({ client, ...call, outcome: outcomes[i] }))
  throw new Error(`In no order do these calls come to this: ${JSON.stringify({ told, content }, null, 2)}`)
}

/** The permutations of 0 to n - 1, the order of the calls first. */
function orders(n: number): number[][] {
  if (n === 0) return [[]]
  const shorter = orders(n - 1)
  return Array.from({ length: n }, (_, back) =>
    shorter.map((order) => order.toSpliced(order.length - back, 0, n - 1)),
  ).flat()
}

describe.each(engines)('$name, at the stores', (engine) => {
  const property = (directory: string, histories: fc.Arbitrary<readonly Step[]>) => {
    let file = 0
    return fc.asyncProperty(histories, (history) => play(engine, join(directory, `${++file}.db`), history))
  }

  const many = modelRuns(engine.isFile ? 100 : 500)
  it(
    `gives ${many} sequences of calls by two clients the results of a store without memory`,
    async () => {
      await withDirectory((directory) => fc.assert(property(directory, sequences), settings(many)))
    },
    LONG,
  )

  const fewer = modelRuns(engine.isFile ? 60 : 200)
  it(
    `gives the calls of ${fewer} histories of bursts the results of some order`,
    async () => {
      await withDirectory((directory) => fc.assert(property(directory, bursts), settings(fewer)))
    },
    LONG,
  )
})
