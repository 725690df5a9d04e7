/** The suite without a test runner, for runtimes that have none in common: one line of JSON per case on the console. */
import { memory } from '../../src/drivers/memory.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { Driver } from '../../src/core/driver.ts'
import { type Harness, cases, runCase } from '../../src/testing/index.ts'

/** What became of a case. */
export interface Result {
  readonly harness: string
  readonly id: string
  readonly error?: string
}

/** Makes a driver on the file of this name; on the same file again, another one. */
export type MakeDriver = (path: string, clock: Clock) => Driver

/** Runs all cases over memory and over files of a directory, which is left to whoever made it. */
export async function runSuite(directory: string, engines: Readonly<Record<string, MakeDriver>>): Promise<void> {
  let files = 0
  for (const [name, make] of Object.entries({ memory: (_: string, clock: Clock) => memory({ clock }), ...engines })) {
    const harness: Harness = {
      name,
      async create() {
        const path = `${directory}/${name.replace(':', '-')}${files++}.db`
        let time = Date.UTC(2026, 0, 1)
        const open = (): Driver => make(path, () => time)
        const advance = (ms: number): void => void (time += ms)
        return { driver: open(), advance, ...(name !== 'memory' && { reopen: async () => open() }) }
      },
    }
    for (const it of cases) {
      const error = await runCase(it, harness).then(
        () => undefined,
        (cause: Error) => cause.stack ?? String(cause),
      )
      const result: Result = { harness: name, id: it.id, ...(error !== undefined && { error }) }
      console.log(JSON.stringify(result))
    }
  }
}
