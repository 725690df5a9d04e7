/** Ports and threads of the channel's tests. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { type ConnectOptions, connect, serve } from '../../../src/served/channel/index.ts'
import type { Driver } from '../../../src/core/driver.ts'

/** A thread that runs ./worker.ts. */
export function thread(workerData?: string): Worker {
  const program = JSON.stringify(new URL('worker.ts', import.meta.url).href)
  // A thread does not take over the loader of `--import`.
  const start = `import('tsx/esm/api').then(({ register }) => (register(), import(${program})))`
  return new Worker(start, { eval: true, workerData })
}

/** Two entangled ports, closed when the test ends. */
export function ports(): { near: MessagePort; far: MessagePort } {
  const { port1: near, port2: far } = new MessageChannel()
  onTestFinished(() => near.close())
  return { near, far }
}

/** A driver, and what is at the other end of a port. */
export async function pair(driver: Driver, options?: ConnectOptions) {
  const { near, far } = ports()
  const served = serve(driver, far)
  return { remote: await connect(near, options), served, near, far }
}
