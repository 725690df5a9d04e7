/** Over every driver the stores do what they do over memory without any memory of their own, also when calls meet. */
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { engines, withDirectory } from '../support/engines.ts'
import { bursts, sequences } from './calls.ts'
import { storesProperty } from './properties.ts'
import { LONG, modelRuns, settings } from './runs.ts'

describe.each(engines)('$name, at the stores', (engine) => {
  const many = modelRuns(engine.isFile ? 100 : 500)
  it(
    `gives ${many} sequences of calls by two clients the results of a store without memory`,
    async () => {
      await withDirectory((directory) => fc.assert(storesProperty(engine, directory, sequences), settings(many)))
    },
    LONG,
  )

  const fewer = modelRuns(engine.isFile ? 60 : 200)
  it(
    `gives the calls of ${fewer} histories of bursts the results of some order`,
    async () => {
      await withDirectory((directory) => fc.assert(storesProperty(engine, directory, bursts), settings(fewer)))
    },
    LONG,
  )
})
