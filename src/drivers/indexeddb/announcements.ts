/** Announcements between the tabs and workers that use one database. @module */
import { type Announcer, announcer } from '../shared/announcer.ts'
import { type Broadcast, broadcast } from './api.ts'

/** Announcements that reach every tab. Without a BroadcastChannel, they reach only this driver's own listeners. */
export interface Announcements extends Pick<Announcer, 'watch'> {
  /** Announces changed parts to all tabs. */
  announce(parts: readonly string[]): void
  /** Starts listening to other tabs. Idempotent. */
  open(): void
  /** Stops listening and announcing. An open channel would keep the page out of the back/forward cache. */
  close(): void
}

/** The format version of the messages. */
const VERSION = 1
/**
 * The shortest time between two messages, in milliseconds. A message costs the browser almost as much as a small
 * commit.
 */
const INTERVAL = 10

/** @param name - the name of the database */
export function announcements(name: string): Announcements {
  const { watch, announce } = announcer()
  let channel: Broadcast | undefined
  /** Parts to announce to other tabs with the next message. */
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
      // The channel alone must not keep a process alive.
      channel?.unref?.()
      // Any code of this origin can send messages here.
      channel?.addEventListener('message', ({ data }) => announce(() => partsIn(data)))
    },
    close() {
      tell()
      channel?.close()
      channel = undefined
    },
  }
}

/** The parts that a message names; none for a message of another release or another sender. */
function partsIn(message: unknown): readonly string[] {
  const { holdfast, parts } = (message ?? {}) as { readonly holdfast?: unknown; readonly parts?: unknown }
  return holdfast === VERSION && Array.isArray(parts) ? parts.filter((it) => typeof it === 'string') : []
}
