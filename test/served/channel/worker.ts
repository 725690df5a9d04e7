/**
 * A thread that serves drivers over the ports it is sent, or over its own port one that never answers a commit. A
 * driver is made when it is first named; its clock is shared memory, so that a test can move it.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { serve } from '../../../src/served/channel/index.ts'
import type { Driver } from '../../../src/core/driver.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { replay } from '../../../src/wrappers/replay.ts'

/** What the thread is sent. */
export interface Job {
  readonly name: string
  readonly port: MessagePort
  readonly time: Float64Array
}

if (workerData === 'stuck') serve({ ...memory(), commit: () => new Promise(() => {}) }, parentPort!)
else {
  const drivers = new Map<string, Driver>()
  parentPort!.on('message', ({ name, port, time }: Job) => {
    const clock = (): number => time[0]!
    if (!drivers.has(name)) drivers.set(name, replay(memory({ clock }), { clock, window: 60_000 }))
    serve(drivers.get(name)!, port)
  })
}
