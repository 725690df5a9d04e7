/** Announcements among the tabs and workers that use one database. @module */
import { type Announcer, announcer } from '../../core/announcer.ts'
import { type Broadcast, broadcast } from './api.ts'

/** Announcements that reach every tab; where there are no channels, this driver's own listeners alone. */
export interface Announcements extends Pick<Announcer, 'watch'> {
  /** Tells all tabs of changed parts. */
  announce(parts: readonly string[]): void
  /** Begins to hear the others. Idempotent. */
  open(): void
  /** Hears and tells the others no more; what is left open keeps a page from being put aside. */
  close(): void
}

/** The version of these messages. */
const VERSION = 1

/** @param name - of the database */
export function announcements(name: string): Announcements {
  const { watch, announce } = announcer()
  let channel: Broadcast | undefined
  return {
    watch,
    announce(parts) {
      announce(() => parts)
      if (parts.length > 0) channel?.postMessage({ holdfast: VERSION, parts })
    },
    open() {
      if (channel) return
      channel = broadcast(`holdfast ${name}`)
      // Listening alone keeps no process alive.
      channel?.unref?.()
      // Anything of this origin can speak here.
      channel?.addEventListener('message', ({ data }) => announce(() => partsIn(data)))
    },
    close() {
      channel?.close()
      channel = undefined
    },
  }
}

/** The parts that a message names; none in one of another release, or of somebody else. */
function partsIn(message: unknown): readonly string[] {
  const { holdfast, parts } = (message ?? {}) as { readonly holdfast?: unknown; readonly parts?: unknown }
  return holdfast === VERSION && Array.isArray(parts) ? parts.filter((it) => typeof it === 'string') : []
}
