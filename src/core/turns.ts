/**
 * Turns of the event loop, and the clock to measure them.
 *
 * Both use the runtime's own functions, read when this module is loaded. So tests that replace the globals with fake
 * timers stop neither the clock nor the turns.
 *
 * @module
 */
const { setImmediate, setTimeout, clearTimeout, MessageChannel } = globalThis
const readNow = performance.now.bind(performance)

/** Milliseconds on a monotonic clock, which nobody can set. */
export const monotonic = (): number => readNow()

/** Calls back after `ms` milliseconds. @returns a function that cancels it */
export function after(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

/** Lets the event loop turn once. For Node, Bun and Deno: there it costs least. */
export const turned = (): Promise<void> => new Promise((resolve) => (setImmediate ?? setTimeout)(resolve))

/** The longest time without a turn before one is requested, in milliseconds. Each request has a cost. */
const TURNED = 5
/** The longest time without a turn before batches wait for one, in milliseconds. */
const MAX_TURN = 10
/** Batches wait for a turn after this many batches in any case: in Workers the clock stands still while code runs. */
const MANY_BATCHES = 500

/** Lets the event loop turn if it has not done so for a while. */
export interface Turns {
  /** Called before every batch. @returns a promise to wait for, or `undefined` if there is no need to wait */
  take(): Promise<void> | undefined
  /**
   * Called after a call was added. In Workers a timer belongs to the request that set it, or to the initialization of
   * the object, and may never fire after that. So every caller that adds a call requests the awaited turn once more.
   */
  askAgain(): void
}

/**
 * Makes the turns of one loop. A synchronous driver answers in microtasks, so without turns a loop of awaited calls
 * would hold up every timer and request.
 */
export function turns(): Turns {
  const isWorkers = isInWorkers()
  const soon = asker()
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
      // Calls made in the same microtask belong to the same request.
      queueMicrotask(() => (hasAskedAgain = false))
      soon(next!.come)
    },
  }
}

/** Makes a function that waits for a turn of the event loop: the code of this turn has come to rest then. */
export function nextTurn(): () => Promise<void> {
  const soon = asker()
  let turn: Promise<void> | undefined
  return () =>
    (turn ??= new Promise((resolve) => {
      soon(() => {
        turn = undefined
        resolve()
      })
    }))
}

const isInWorkers = (): boolean => 'WebSocketPair' in globalThis

/** Calls back in a later turn. In Workers messages come in the same turn, so a timer is used. */
const asker = (): ((callback: () => void) => void) =>
  isInWorkers() ? (callback) => void setTimeout(callback, 0) : turner()

/** Picks a way to call back in a later turn. A timer is the last choice: hidden tabs throttle timers. */
function turner(): (callback: () => void) => void {
  if (setImmediate) return setImmediate
  if (!MessageChannel) return (callback) => setTimeout(callback, 0)
  let port: { postMessage(message: null): void } | undefined
  let called: () => void
  return (callback) => {
    // One callback is enough: nobody requests a turn before the last one came.
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
