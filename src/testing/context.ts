/** The environment of one run of a case. @module */
import { idSource } from '../core/clock.ts'
import { createDatabase, type Database } from '../core/database.ts'
import type { Driver } from '../core/driver.ts'
import { ok } from './assert.ts'
import { type Client, client } from './client.ts'
import type { Backend, Context, Harness } from './case.ts'

/** Waits for real. */
export const wait = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms))

/** Creates a fresh database with an opened driver, and a function that disposes of it. */
export async function createContext(harness: Harness): Promise<{ context: Context; dispose: () => Promise<void> }> {
  const id = idSource()
  const drivers: Driver[] = []
  const databases: Database[] = []
  const backends: Backend[] = []

  async function open(driver: Driver): Promise<Client> {
    drivers.push(driver)
    await driver.open()
    return client(driver, id)
  }

  async function create(): Promise<Backend> {
    const backend = await harness.create()
    backends.push(backend)
    return backend
  }

  /** Closes databases first, because they may still be at work. An error here must not hide the error of the case. */
  async function dispose(): Promise<void> {
    for (const database of databases) await database.close().catch(() => {})
    for (const driver of drivers) await driver.close()
    for (const backend of backends) await backend.dispose?.()
  }

  async function start(): Promise<Context> {
    const backend = await create()
    const main = await open(backend.driver)
    let moved = Date.now()
    /** A manual clock starts far from this machine's clock. The difference is corrected here. */
    let behind = backend.advance === undefined ? 0 : (await backend.driver.read([])).now - moved

    /**
     * Also subtracts the time that has really passed. Between two answers, stores go by this machine's clock, and on a
     * slow machine the two clocks drift far apart.
     */
    async function advance(ms: number): Promise<void> {
      const elapsed = Date.now() - moved
      moved += elapsed
      behind += ms
      await backend.advance!(ms + elapsed)
    }

    return {
      ...main,
      harness,
      backend,
      capabilities: backend.driver.capabilities,
      tenant: `tenant ${id()}`,
      sleep: backend.advance === undefined ? wait : advance,
      db(options = {}) {
        const database = createDatabase({ driver: backend.driver, clock: () => Date.now() + behind, ...options })
        databases.push(database)
        return database
      },
      async reopen() {
        ok(backend.reopen !== undefined, 'The harness cannot reopen')
        return open(await backend.reopen())
      },
      another: async () => open((await create()).driver),
      dump: async () => (backend.dump === undefined ? dumpThrough(main) : backend.dump()),
    }
  }

  try {
    return { context: await start(), dispose }
  } catch (error) {
    await dispose().catch(() => {})
    throw error
  }
}

/** Everything that the driver itself shows. */
async function dumpThrough(main: Client): Promise<unknown[]> {
  const found: unknown[] = []
  for (const part of await main.parts()) {
    for (const entry of await main.all({ part })) found.push({ part, ...entry })
  }
  return found
}
