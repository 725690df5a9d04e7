/** Announcements among the tabs and workers that use one database. @module */
import { type Announcer, announcer } from '../shared/announcer.ts'
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
/** The least between two messages, in milliseconds: one costs the browser a good part of what a small commit does. */
const INTERVAL = 10

/** @param name - of the database */
export function announcements(name: string): Announcements {
  const { watch, announce } = announcer()
  let channel: Broadcast | undefined
  /** Parts that the other tabs were not told of. */
  let untold = new Set<string>()
  /** Set for a while after each message. */
  let timer: ReturnType<typeof setTimeout> | undefined

  function tell(): void {
    timer = undefined
    if (!channel || untold.size === 0) return
    channel.postMessage({ holdfast: VERSION, parts: [...untold] })
    untold = new Set()
    timer = setTimeout(tell, INTERVAL)
  }

  return {
    watch,
    announce(parts) {
      announce(() => parts)
      if (!channel) return
      for (const part of parts) untold.add(part)
      if (!timer) tell()
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
      tell()
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
