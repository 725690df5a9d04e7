/** Functions of the user's that watch. @module */

/** Tells a hook, where there is one: what it throws must not change the outcome of what it watches. */
export function tell<T>(hook: ((event: T) => void) | undefined, event: T): void {
  try {
    hook?.(event)
  } catch {
    // An observer's own trouble is nothing that the call has to do with.
  }
}
