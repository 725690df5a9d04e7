/** What has to hold of random histories over an engine, each on data of its own. */
import { join } from 'node:path'
import fc from 'fast-check'
import type { Engine } from '../support/engines.ts'
import type { Step } from './calls.ts'
import { playCalls } from './play-calls.ts'
import { type Make, play } from './play.ts'
import { steps } from './requests.ts'

/** Makes drivers on the data of one history after the other. */
function histories(engine: Engine, directory: string): () => Make {
  let file = 0
  return () => {
    const path = join(directory, `${++file}.db`)
    return (clock) => engine.make(path, clock)
  }
}

/** The driver answers as the plainest model does, and holds the same at the end. */
export function driverProperty(engine: Engine, directory: string) {
  const next = histories(engine, directory)
  return fc.asyncProperty(steps, (history) => play(next(), engine.isFile, history))
}

/** Two clients' calls of the stores come to what they come to over memory. */
export function storesProperty(engine: Engine, directory: string, calls: fc.Arbitrary<readonly Step[]>) {
  const next = histories(engine, directory)
  return fc.asyncProperty(calls, (history) => playCalls(next(), engine.isFile, history))
}
