/** What concurrent clients are told could have been told one after the other. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { type Engine, engines, fileEngines, withDirectory } from '../support/engines.ts'
import { runClient } from './client.ts'
import type { History } from './history.ts'
import { judge } from './judge.ts'
import { MUTANTS } from './mutants.ts'
import type { Order } from './process.ts'

const CLIENTS = 8
const SEEDS = [1, 2, 3]

/** As many clients as there are drivers, in this process. */
const runClients = (drivers: readonly Driver[], seed: number, calls: number): Promise<History[]> =>
  Promise.all(drivers.map((driver, i) => runClient({ driver, name: `c${i}`, seed: seed * 100 + i, calls })))

const clientNames = Array.from({ length: CLIENTS }, (_, i) => `c${i}`)

async function runProcesses(engine: Engine, path: string, seed: number, processes: number): Promise<History[]> {
  const children: ChildProcess[] = []
  try {
    for (let i = 0; i < processes; i++) {
      const program = join(import.meta.dirname, 'process.ts')
      children.push(fork(program, { execArgv: ['--import', 'tsx'], serialization: 'advanced' }))
    }
    await Promise.all(children.map((child) => once(child, 'message')))
    const answers = await Promise.all(
      children.map(async (child, p) => {
        const names = clientNames.filter((_, i) => i % processes === p)
        const order: Order = { engine: engine.name, path, names, seed: seed * 100 + p * CLIENTS, calls: 120 }
        child.send(order)
        const [histories] = (await once(child, 'message')) as [History[]]
        return histories
      }),
    )
    return answers.flat()
  } finally {
    for (const child of children) child.kill()
  }
}

describe.each(engines)('$name', (engine) => {
  it.each(SEEDS)('is linearizable under 8 clients in one process, seed %i', (seed) =>
    withDirectory(async (directory) => {
      const path = join(directory, 'data.db')
      const shared = await engine.make(path)
      const drivers = await Promise.all(clientNames.map(async () => (engine.isFile ? engine.make(path) : shared)))
      expect(judge(await runClients(drivers, seed, 150))).toEqual([])
    }),
  )
})

describe.each(fileEngines)('$name', (engine) => {
  it.each([2, 4])('is linearizable under 8 clients in %i processes that open a new file at once', (processes) =>
    withDirectory(async (directory) => {
      expect(judge(await runProcesses(engine, join(directory, 'data.db'), processes, processes))).toEqual([])
    }),
  )
})

describe('the check of histories', () => {
  it.each(Object.keys(MUTANTS))('finds a driver that %s', async (name) => {
    const driver = MUTANTS[name]!(memory())
    const drivers = clientNames.map(() => driver)
    expect(judge(await runClients(drivers, 1, 100))).not.toEqual([])
  })
})
