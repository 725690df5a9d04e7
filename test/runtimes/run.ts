/** The suite without a test runner, for runtimes that have none in common: one line of JSON per case on the console. */
import { createStorage } from 'unstorage'
import { memory } from '../../src/drivers/memory.ts'
import { unstorage } from '../../src/drivers/unstorage/driver.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { Driver } from '../../src/core/driver.ts'
import { createHandler, remote } from '../../src/served/http/index.ts'
import { type Case, type Harness, cases, runCase } from '../../src/testing/index.ts'
import { replay } from '../../src/wrappers/replay.ts'
import { type Servers, networkHarnesses } from './network.ts'

/** What became of a case. */
export interface Result {
  readonly harness: string
  readonly id: string
  readonly error?: string
}

/** Makes drivers on a fresh database: each call of what it gives makes a further one on the same. */
export type MakeDatabase = (path: string, clock: Clock) => () => Driver

/** A driver that every runtime has. Its data die with it. */
const alone: MakeDatabase = (_, clock) => () => memory({ clock })

const COMMON: Readonly<Record<string, MakeDatabase>> = {
  memory: alone,
  unstorage: (_, clock) => {
    const storage = createStorage()
    return () => unstorage({ storage, singleWriter: true, durability: 'none', clock })
  },
  http(_, clock) {
    const handler = createHandler(replay(memory({ clock }), { clock, window: 120_000 }), { authorize: () => 'tenant' })
    const fetch = (url: string, init?: RequestInit) => handler(new Request(url, init))
    return () => remote({ url: 'http://127.0.0.1/state', fetch, capabilities: { durability: 'none' } })
  },
}

/** Cases over a network at once, while the others wait for a server's clock. */
const LANES = 4

/**
 * Runs cases over what every runtime has, and over files of a directory, which is left to whoever made it.
 *
 * @param wanted - by the name of a harness the ids of its cases, as JSON
 */
export async function runSuite(
  directory: string,
  wanted: string,
  engines: Readonly<Record<string, MakeDatabase>>,
): Promise<void> {
  const ids = JSON.parse(wanted) as Readonly<Record<string, readonly string[]>>
  let files = 0
  for (const [name, make] of Object.entries({ ...COMMON, ...engines })) {
    const harness: Harness = {
      name,
      async create() {
        let time = Date.UTC(2026, 0, 1)
        const open = make(`${directory}/${name.replace(':', '-')}${files++}.db`, () => time)
        const advance = (ms: number): void => void (time += ms)
        return { driver: open(), advance, ...(make !== alone && { reopen: async () => open() }) }
      },
    }
    for (const it of cases) if (ids[name]!.includes(it.id)) await report(it, harness)
  }
}

/** Runs a slice over servers that are reached by `fetch`, given as JSON; none where nothing is given. */
export async function runNetwork(servers: string | undefined): Promise<void> {
  if (servers === undefined) return
  const { slice, ...addresses } = JSON.parse(servers) as Servers & { readonly slice: readonly string[] }
  for (const harness of networkHarnesses(addresses)) {
    const left = cases.filter(({ id }) => slice.includes(id))
    const lane = async (): Promise<void> => {
      for (let it = left.pop(); it; it = left.pop()) await report(it, harness)
    }
    await Promise.all(Array.from({ length: LANES }, lane))
  }
}

async function report(it: Case, harness: Harness): Promise<void> {
  const error = await runCase(it, harness).then(
    () => undefined,
    (cause: Error) => cause.stack ?? String(cause),
  )
  const result: Result = { harness: harness.name, id: it.id, ...(error !== undefined && { error }) }
  console.log(JSON.stringify(result))
}
