/** The logs of inspections, each read once and then followed. @module */
import { type PersistenceStore, type RunEvent, isHoldfastError } from 'holdfast'

/** Logs that follow their runs. */
export interface Logs {
  /** Follows the logs of exactly these runs. */
  follow(runIds: readonly string[]): void
  /** Returns the events of a log read so far. */
  of(runId: string): readonly RunEvent[]
}

/** The time between two looks, in milliseconds, because a frozen tab misses announcements. */
const AT_LEAST_EVERY = 5000

/**
 * @param persistence - the logs
 * @param onEvent - called when a log has grown
 * @param onError - called with each error
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
