/** The logs of inspections, each read once and then followed. @module */
import { type PersistenceStore, type RunEvent, isHoldfastError } from 'holdfast'

/** Logs that grow by themselves. */
export interface Logs {
  /** Follows the logs of these runs, and of no others any more. */
  follow(runIds: readonly string[]): void
  /** What has been read of a log by now. */
  of(runId: string): readonly RunEvent[]
}

/** A tab that was frozen has heard nothing meanwhile, and looks again after so many milliseconds. */
const AT_LEAST_EVERY = 5000

/**
 * @param persistence - the logs
 * @param onEvent - called when one of them has grown
 * @param onError - told of what goes wrong
 */
export function followLogs(
  persistence: PersistenceStore,
  onEvent: () => void,
  onError: (error: unknown) => void,
): Logs {
  const logs = new Map<string, { readonly events: RunEvent[]; readonly stop: AbortController }>()

  async function read(runId: string, events: RunEvent[], signal: AbortSignal): Promise<void> {
    try {
      for await (const event of persistence.follow(runId, { signal, pollInterval: AT_LEAST_EVERY })) {
        events.push(event)
        onEvent()
      }
    } catch (error) {
      if (!isHoldfastError(error, 'ABORTED')) onError(error)
    }
  }

  return {
    follow(runIds) {
      for (const [runId, { stop }] of logs) {
        if (runIds.includes(runId)) continue
        stop.abort()
        logs.delete(runId)
      }
      for (const runId of runIds) {
        if (logs.has(runId)) continue
        const log = { events: [], stop: new AbortController() }
        logs.set(runId, log)
        void read(runId, log.events, log.stop.signal)
      }
    },
    of: (runId) => logs.get(runId)?.events ?? [],
  }
}
