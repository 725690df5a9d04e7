/** Every driver answers random histories as the plainest model does. */
import { ok } from 'node:assert'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import type { Commit, Driver, Op, Read } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { engines, withDirectory } from '../support/engines.ts'
import { LONG, modelRuns, settings } from './runs.ts'
import { play } from './play.ts'
import { driverProperty } from './properties.ts'
import { steps } from './requests.ts'

describe.each(engines)('$name, at the driver', (engine) => {
  const numRuns = modelRuns(engine.isFile ? 200 : 1000)
  const title = `answers ${numRuns} random histories as the naive model does, and holds the same at the end`
  const property = (directory: string) => driverProperty(engine, directory)
  it(title, () => withDirectory((directory) => fc.assert(property(directory), settings(numRuns))), LONG)
})

type Clock = () => number

const withReads = (driver: Driver, change: (read: Read) => Read): Driver => ({
  ...driver,
  read: (reads) => driver.read(reads.map(change)),
})

const withCommits = (driver: Driver, change: (commit: Commit) => Commit): Driver => ({
  ...driver,
  commit: ({ id, commits }) => driver.commit({ id, commits: commits.map(change) }),
})

const withOps = (driver: Driver, change: (op: Op) => Op): Driver =>
  withCommits(driver, (commit) => ({ ...commit, ops: commit.ops.map(change) }))

/** Drivers that are nearly right. */
const MUTANTS: Record<string, (clock: Clock) => Driver> = {
  'never turns a page round': (clock) =>
    withReads(memory({ clock }), (read) => ('range' in read ? { range: { ...read.range, reverse: false } } : read)),
  'leaves refs out': (clock) =>
    withOps(memory({ clock }), (op) => ('append' in op ? { append: op.append, value: op.value } : op)),
  'looks only at the first check': (clock) =>
    withCommits(memory({ clock }), (commit) => ({ ...commit, checks: commit.checks.slice(0, 1) })),
  'deletes one entry too many': (clock) =>
    withOps(memory({ clock }), (op) =>
      'deleteRange' in op ? { deleteRange: { ...op.deleteRange, end: `${op.deleteRange.end} ` } } : op,
    ),
  'gives every commit of a request the same version': (clock) => {
    const driver = memory({ clock })
    return {
      ...driver,
      commit: ({ id, commits }) => driver.commit({ id, commits: commits.map((commit) => ({ ...commit, id })) }),
    }
  },
}

describe('the comparison with the naive model', () => {
  it.each(Object.keys(MUTANTS))('finds a driver that %s', async (name) => {
    const found = await fc.check(
      fc.asyncProperty(steps, (history) => play(MUTANTS[name]!, false, history)),
      { numRuns: 1000, endOnFailure: true },
    )
    ok(found.failed, 'It went unnoticed')
  })
})
