/**
 * Turns of the event loop, and the clock they are measured by.
 *
 * All of it is the runtime's own, taken when this module is loaded: tests that put fake timers in place of the globals
 * stop neither the clock nor the turns.
 *
 * @module
 */
const { setImmediate, setTimeout, clearTimeout, MessageChannel } = globalThis
const readNow = performance.now.bind(performance)

/** Milliseconds on a clock that nobody sets. */
export const monotonic = (): number => readNow()

/** Calls back after so many milliseconds. @returns what stops it */
export function after(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

/** Lets the event loop turn once. For Node, Bun and Deno: there it costs least. */
export const turned = (): Promise<void> => new Promise((resolve) => (setImmediate ?? setTimeout)(resolve))

/** How long the event loop may go without a turn until one is asked for, in milliseconds: asking has its price. */
const TURNED = 5
/** How long until it is waited for. */
const MAX_TURN = 10
/** After how many batches it is waited for in any case: in Workers the clock stands still while code is running. */
const MANY_BATCHES = 500

/** Lets the event loop turn where that has not happened for a while. */
export interface Turns {
  /** Called before every batch. @returns what to wait for, or `undefined` where there is no need to wait */
  take(): Promise<void> | undefined
  /**
   * Called when a call was added. In Workers a timer belongs to the request that set it, or to the time before its object
   * let nothing else in: it may never come. So whoever adds a call asks once more for the turn that is waited for.
   */
  askAgain(): void
}

/**
 * Makes the turns of one loop. Answers of a synchronous driver come in microtasks, and a loop of awaited calls would keep
 * every timer and request waiting.
 */
export function turns(): Turns {
  const isWorkers = 'WebSocketPair' in globalThis
  const soon = isWorkers ? (callback: () => void): unknown => setTimeout(callback, 0) : turner()
  let next: { readonly promise: Promise<void>; readonly come: () => void } | undefined
  let isWaitedFor = false
  let hasAskedAgain = false
  let askedAt = 0
  let turnedAt = Number.NEGATIVE_INFINITY
  let batches = 0

  function ask(): void {
    let resolve!: () => void
    const promise = new Promise<void>((it) => (resolve = it))
    const turn = {
      promise,
      come() {
        if (next !== turn) return
        next = undefined
        isWaitedFor = false
        turnedAt = monotonic()
        resolve()
      },
    }
    next = turn
    batches = 0
    soon(turn.come)
  }

  return {
    take() {
      const now = monotonic()
      batches++
      if (next) {
        isWaitedFor = batches > MANY_BATCHES || now - askedAt > MAX_TURN - TURNED
        return isWaitedFor ? next.promise : undefined
      }
      if (now - turnedAt < TURNED && batches <= MANY_BATCHES) return undefined
      askedAt = now
      ask()
      return undefined
    },
    askAgain() {
      if (!isWorkers || !isWaitedFor || hasAskedAgain) return
      hasAskedAgain = true
      // Calls that are made in one go have the same request.
      queueMicrotask(() => (hasAskedAgain = false))
      soon(next!.come)
    },
  }
}

/** Makes what calls back in a turn of its own. A timer is the last choice: hidden tabs are given few of them. */
function turner(): (callback: () => void) => void {
  if (setImmediate) return setImmediate
  if (!MessageChannel) return (callback) => setTimeout(callback, 0)
  let port: { postMessage(message: null): void } | undefined
  let called: () => void
  return (callback) => {
    // One at a time: nobody asks again before the turn has come.
    called = callback
    if (!port) {
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', () => called())
      port1.start()
      port = port2
    }
    port.postMessage(null)
  }
}
