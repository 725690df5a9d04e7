/** Over IndexedDB random histories are answered as the plainest model does, logs cut off at any place among them. */
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { LONG, modelRuns, settings } from '../../model/runs.ts'
import { play } from '../../model/play.ts'
import { steps } from '../../model/requests.ts'
import { installFake, newFactory } from './support.ts'

installFake()

describe('indexeddb, at the driver', () => {
  const numRuns = modelRuns(200)
  const property = fc.asyncProperty(steps, (history) => {
    const indexedDB = newFactory()
    return play(async (clock) => indexedDb({ name: 'app', indexedDB, clock }), true, history)
  })
  it(`answers ${numRuns} random histories as the naive model does`, () => fc.assert(property, settings(numRuns)), LONG)
})
