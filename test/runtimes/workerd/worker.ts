/** Runs one case of the suite inside of workerd: against D1 in a request, against SQLite in a Durable Object. */
import { type D1Database, d1 } from '../../../src/drivers/sqlite/d1.ts'
import { type DurableObjectStorage, durableObject } from '../../../src/drivers/sqlite/durable-object.ts'
import type { Driver } from '../../../src/core/driver.ts'
import { type Backend, type Harness, cases, runCase } from '../../../src/testing/index.ts'
import { prefix } from '../../../src/wrappers/prefix.ts'

interface Stored {
  results: { type: string; name: string }[]
}
type Binding = Pick<D1Database, 'batch'> & {
  prepare(query: string): ReturnType<D1Database['prepare']> & { all(): Promise<Stored> }
}
interface Stub {
  fetch(request: Request): Promise<Response>
}
export interface Env {
  readonly OBJECT: { idFromName(name: string): unknown; get(id: unknown): Stub }
  readonly [database: `DB${number}`]: Binding
}

const ENTRIES = 'SELECT * FROM holdfast_entries ORDER BY part, key'
/** A case needs one database, and at times a second and a third. */
const DATABASES_PER_LANE = 3

async function outcomeOf(id: string, harness: Harness): Promise<Response> {
  try {
    await runCase(
      cases.find((it) => it.id === id)!,
      harness,
    )
    return Response.json({})
  } catch (error) {
    return Response.json({ error: (error as Error).stack ?? String(error) })
  }
}

/** Takes away everything that an earlier case has left. */
async function clear(db: Binding): Promise<void> {
  const find = `SELECT type, name FROM sqlite_schema WHERE name LIKE 'holdfast_%' AND type IN ('table', 'view')
    ORDER BY type = 'table'`
  const { results } = await db.prepare(find).all()
  if (results.length > 0) await db.batch(results.map(({ type, name }) => db.prepare(`DROP ${type} ${name}`)))
}

const overD1 = (env: Env, lane: number): Harness => {
  let made = 0
  return {
    name: 'd1',
    async create() {
      const db = env[`DB${lane * DATABASES_PER_LANE + (made++ % DATABASES_PER_LANE)}`]!
      await clear(db)
      return {
        driver: d1({ db }),
        reopen: async () => d1({ db }),
        dump: async () => (await db.prepare(ENTRIES).all()).results,
      }
    },
  }
}

const overObject = (storage: DurableObjectStorage, replayWindow: number): Harness => {
  let made = 0
  return {
    name: 'durable-object',
    async create(): Promise<Backend> {
      let time = Date.UTC(2026, 0, 1)
      const open = (): Driver => durableObject({ storage, clock: () => time, replayWindow })
      const advance = (ms: number): void => void (time += ms)
      // An object has one database; a case that wants another one gets a corner of it.
      if (made++ > 0) return { driver: prefix(open(), `another ${made}`), advance }
      return {
        driver: open(),
        reopen: async () => open(),
        advance,
        dump: async () => [...storage.sql.exec(ENTRIES).raw()],
      }
    },
  }
}

export class SuiteObject {
  readonly #storage: DurableObjectStorage

  constructor(state: { storage: DurableObjectStorage }) {
    this.#storage = state.storage
  }

  fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url)
    const replayWindow = Number(searchParams.get('replayWindow'))
    return outcomeOf(searchParams.get('case')!, overObject(this.#storage, replayWindow))
  }
}

/** What workerd takes from the default export. */
export const worker = {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, search, searchParams } = new URL(request.url)
    if (pathname === '/d1') return outcomeOf(searchParams.get('case')!, overD1(env, Number(searchParams.get('lane'))))
    return env.OBJECT.get(env.OBJECT.idFromName(search)).fetch(request)
  },
}
