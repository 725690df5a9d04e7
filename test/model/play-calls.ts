/** Plays a history of calls by two clients to the stores over a driver, and compares all with what the oracle says. */
import type { Driver } from '../../src/core/driver.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { equal, isEqual } from '../../src/testing/assert.ts'
import { type Call, type Step, outcomeOf } from './calls.ts'
import { type Oracle, contentOf, oracle } from './oracle.ts'
import type { Make } from './play.ts'
import { START } from './requests.ts'

/**
 * @param make - called twice where the data is not that of one driver: then each of the two clients has its own
 * @throws where a result, or what is there at the end, is not the oracle's
 */
export async function playCalls(make: Make, isFile: boolean, history: readonly Step[]): Promise<void> {
  let now = START
  const clock = () => now
  const first = await make(clock)
  const drivers: Driver[] = [first, isFile ? await make(clock) : first]
  const clients = drivers.map((driver) => createHoldfast({ driver, clock, durability: 'relaxed' }))
  let expected = oracle(clock)
  try {
    for (const step of history) {
      if ('advance' in step) now += step.advance
      else if ('call' in step) {
        equal(await outcomeOf(clients[step.client]!, step.call), await expected.ask(step.call))
      } else expected = await playBurst(clients, step.burst, expected)
    }
    equal(await contentOf(clients[0]!.db), await expected.content())
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
    for (const i of order) fits &&= isEqual(await after.ask(burst[i]!.call), outcomes[i])
    if (fits && isEqual(await after.content(), content)) return after
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
