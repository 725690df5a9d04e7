import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { type Engine, fileEngines, withDirectory } from '../support/engines.ts'
import { randomFrom } from '../support/random.ts'
import type { Order } from './worker.ts'

/** A process with an order. */
function begin(order: Order): ChildProcess {
  return fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(order)], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** What a process told at its end; `undefined` where it was killed. */
async function end(child: ChildProcess): Promise<string[] | undefined> {
  let told: string[] | undefined
  child.on('message', (message: { told?: string[] }) => (told = message.told ?? told))
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  if (code !== 0 && signal === null) throw new Error(`The process ended with ${code}`)
  return signal === null ? (told ?? []) : undefined
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

interface Setting {
  readonly path: string
  readonly holdfast: Holdfast
}

/** A fresh file, and the stores on it. */
const onFile = (engine: Engine, use: (setting: Setting) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    const path = join(directory, 'data.db')
    const holdfast = createHoldfast({ driver: await engine.make(path), durability: 'relaxed' })
    try {
      await use({ path, holdfast })
    } finally {
      await holdfast.close()
    }
  })

/** Runs that can be worked on. */
async function prepare({ workflows }: Holdfast, runs: number): Promise<void> {
  const position = { kind: 'step', stepId: 'job' } as const
  await Promise.all(
    range(runs).map((n) => workflows.createRun({ runId: `run ${n}`, workflow: 'job', status: 'running', position })),
  )
}

describe.each(fileEngines)('processes on one file over $name', (engine) => {
  test.each([
    { workers: 2, kills: 4 },
    { workers: 8, kills: 12 },
  ])(
    '$workers workers, killed and started again, do a thousand tasks once each',
    ({ workers, kills }) =>
      onFile(engine, async ({ path, holdfast }) => {
        const runs = 1000
        await prepare(holdfast, runs)
        const seed = Date.now() % 1e6
        console.log(`The kills are of seed ${seed}`)
        const random = randomFrom(seed)
        let left = kills
        let names = 0
        const lane = async (): Promise<void> => {
          for (;;) {
            const child = begin({ engine: engine.name, path, workerId: `w${names++}`, job: 'work', runs })
            const ended = end(child)
            if (left > 0) {
              left--
              await Promise.race([setTimeout(400 + random() * 700), ended])
              child.kill('SIGKILL')
            }
            if ((await ended) !== undefined) return
          }
        }
        await Promise.all(range(workers).map(lane))
        const doneBy = new Map<string, number>()
        for (const n of range(runs)) {
          const trace = (await holdfast.persistence.load(`run ${n}`))!
          expect(trace.completion).toBe('completed')
          const last = trace.events.at(-1)!
          expect(last.kind).toBe('done')
          // A worker that was killed in between has begun; nobody has ended it twice.
          expect(trace.events.filter(({ kind }) => kind === 'done')).toHaveLength(1)
          expect(last.payload).toBe(last.seq - 1)
          const by = String(trace.events.at(-2)!.payload)
          doneBy.set(by, (doneBy.get(by) ?? 0) + 1)
        }
        expect(left).toBe(0)
        expect(doneBy.size).toBeGreaterThan(1)
      }),
    120_000,
  )

  test('of all who start a run one creates it', () =>
    onFile(engine, async ({ path, holdfast }) => {
      const orders = range(4).map(
        (n) => ({ engine: engine.name, path, workerId: `w${n}`, job: 'start', runs: 200 }) as const,
      )
      const created = await Promise.all(orders.map((order) => end(begin(order))))
      expect(created.flat()).toHaveLength(200)
      expect(new Set(created.flat())).toEqual(new Set(range(200).map((n) => `run ${n}`)))
      for (const [n, runIds] of created.entries()) {
        for (const runId of runIds!) expect((await holdfast.workflows.getRun(runId))?.input).toBe(`w${n}`)
      }
    }))

  test('every timer fires once', () =>
    onFile(engine, async ({ path, holdfast }) => {
      const { workflows } = holdfast
      const position = { kind: 'delay', stepId: 'nap', wakeAt: Date.now() + 300, next: 'job' } as const
      await Promise.all(
        range(200).map((n) => workflows.createRun({ runId: `run ${n}`, workflow: 'job', status: 'waiting', position })),
      )
      const orders = range(4).map(
        (n) => ({ engine: engine.name, path, workerId: `w${n}`, job: 'fire', runs: 200 }) as const,
      )
      const fired = await Promise.all(orders.map((order) => end(begin(order))))
      expect(fired.flat()).toHaveLength(200)
      expect(new Set(fired.flat())).toEqual(new Set(range(200).map((n) => `run ${n}`)))
    }))

  test('a process that was stopped and goes on after another took over can write nothing', () =>
    onFile(engine, async ({ path, holdfast }) => {
      await prepare(holdfast, 1)
      const { claims, persistence } = holdfast
      const child = begin({ engine: engine.name, path, workerId: 'a', job: 'hold', runs: 1 })
      const ended = end(child)
      const [{ claimed }] = (await once(child, 'message')) as [{ claimed: boolean }]
      expect(claimed).toBe(true)
      child.kill('SIGSTOP')
      expect(await claims.claimTask({ runId: 'run 0', workerId: 'b', ttl: 60_000 })).toBeUndefined()
      const claim = await takeOver(() => claims.claimTask({ runId: 'run 0', workerId: 'b', ttl: 60_000 }))
      await persistence.append({ runId: 'run 0', workflow: 'job', kind: 'b' }, { claim })
      child.send('go on')
      child.kill('SIGCONT')
      expect(await ended).toEqual(range(9).map(() => 'CLAIM_LOST'))
      const trace = (await persistence.load('run 0'))!
      expect([trace.completion, trace.events.map(({ kind }) => kind)]).toEqual([undefined, ['b']])
      expect(await holdfast.state.get('k')).toBeUndefined()
      await persistence.complete('run 0', 'completed', { claim })
    }))
})

/** Asks until it is given. */
async function takeOver<T>(claim: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const taken = await claim()
    if (taken) return taken
    await setTimeout(20)
  }
}
