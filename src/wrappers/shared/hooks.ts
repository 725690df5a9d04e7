/** The user's hooks. @module */

/** Calls a hook, if there is one. Its errors are ignored, so that they do not change the outcome of the call. */
export function tell<T>(hook: ((event: T) => void) | undefined, event: T): void {
  try {
    hook?.(event)
  } catch {
    // An observer's error must not affect the call.
  }
}
