/** The local World of the Workflow SDK, driven alone as a store: no server, no queue. It never syncs to disk. */
import { SPEC_VERSION_CURRENT } from '@workflow/world'
import { createLocalWorld } from '@workflow/world-local'

export interface WorldLocal {
  /** Creates the run and sets it running. */
  begin(runId: string): Promise<void>
  /** Records a step as the SDK does, by three events. */
  step(runId: string, n: number, result: unknown): Promise<void>
  close(): Promise<void>
}

const specVersion: number = SPEC_VERSION_CURRENT
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

export async function openWorldLocal(directory: string): Promise<WorldLocal> {
  const world = createLocalWorld({ dataDir: directory, recoverActiveRuns: false })
  await world.start?.()
  const input = encode([])
  return {
    // An id of one's own is taken by `run_started` only, which creates the run.
    async begin(runId) {
      const eventData = { deploymentId: 'local', workflowName: 'job', input }
      await world.events.create(runId, { eventType: 'run_started', specVersion, eventData })
    },
    async step(runId, n, result) {
      const known = { correlationId: `step_${n}`, specVersion }
      const stepName = 'job'
      await world.events.create(runId, { ...known, eventType: 'step_created', eventData: { stepName, input } })
      await world.events.create(runId, { ...known, eventType: 'step_started', eventData: { stepName } })
      const eventData = { stepName, result: encode(result) }
      await world.events.create(runId, { ...known, eventType: 'step_completed', eventData })
    },
    async close() {
      await world.close?.()
    },
  }
}
