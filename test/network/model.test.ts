/** Through the vendors' clients, random histories come to what they come to in the plainest model. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { bursts, sequences } from '../model/calls.ts'
import { driverProperty, storesProperty } from '../model/properties.ts'
import { LONG, modelRuns, settings } from '../model/runs.ts'
import { HOSTED, type HostedEngine } from './engines.ts'

describe.each(HOSTED)('$name', (kind) => {
  let engine: HostedEngine
  if (kind.isHere) {
    beforeAll(async () => {
      engine = await kind.start()
    })
    afterAll(() => engine.end())
  }
  const test = it.skipIf(!kind.isHere)

  const most = modelRuns(25)
  test(
    `answers ${most} random histories as the naive model does`,
    () => fc.assert(driverProperty(engine, 'driver'), settings(most)),
    LONG,
  )

  const many = modelRuns(8)
  test(
    `gives ${many} sequences of calls by two clients the results of a store without memory`,
    () => fc.assert(storesProperty(engine, 'sequences', sequences), settings(many)),
    LONG,
  )

  const fewer = modelRuns(8)
  test(
    `gives the calls of ${fewer} histories of bursts the results of some order`,
    () => fc.assert(storesProperty(engine, 'bursts', bursts), settings(fewer)),
    LONG,
  )
})
