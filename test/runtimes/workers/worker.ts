/** A worker in a process of its own, on a file that others use at the same time. */
import type { Driver } from '../../../src/core/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { finishAll, reportTo } from '../../runner/everywhere/worker.ts'

/** What a process is told, as JSON in its first argument. */
export interface WorkerOrder {
  readonly worker: string
  readonly path: string
  /** Where to report. */
  readonly url: string
}

/** Works until all runs have ended. */
export async function beWorker(open: (path: string) => Driver): Promise<void> {
  const { worker, path, url } = JSON.parse(process.argv[2]!) as WorkerOrder
  const holdfast = createHoldfast({ driver: open(path), durability: 'relaxed' })
  await finishAll({ worker, holdfast, report: reportTo(url) })
  await holdfast.close()
}
