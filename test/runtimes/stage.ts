/** A stage that workers in other processes reach by `fetch`. */
import { type Stage, stage } from '../runner/everywhere/stage.ts'
import type { Report } from '../runner/everywhere/worker.ts'
import { listen } from '../served/http/support.ts'

/** A stage, and where to report to it. */
export interface ServedStage extends Stage {
  readonly url: string
  close(): Promise<void>
}

export async function serveStage(): Promise<ServedStage> {
  const own = stage()
  const { url, close } = await listen(async (request) =>
    Response.json(await own.take((await request.json()) as Report)),
  )
  return { ...own, url, close }
}
